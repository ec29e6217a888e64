"""Which network filters need the guest's address from outside."""

from pathlib import Path

from lxml import etree

from uuidfs.localmigration import look_at_host
from uuidfs.localmigration.devices.facts import Link
from uuidfs.localmigration.devices.filters import needing_address


def filter_of(name: str, inside: str) -> str:
    return f"<filter name='{name}'>{inside}</filter>"


def rule(attributes: str) -> str:
    return f"<rule action='drop' direction='out'><ip match='no' {attributes}/></rule>"


def test_a_filter_needs_the_address_that_it_or_one_below_uses() -> None:
    assert needing_address(
        [
            filter_of("plain", rule("srcmacaddr='$MAC'")),
            filter_of("uses", rule("srcipaddr='$IP'")),
            filter_of("element", rule("srcipaddr='$IP[2]'")),
            filter_of("each", rule("srcipaddr='$IP[@1]'")),
            filter_of("other", rule("srcipaddr='$IPV6 $IP_LIST $MYIP'")),
            filter_of("below", "<filterref filter='plain'/><filterref filter='uses'/>"),
            filter_of("deep", "<filterref filter='below'/>"),
            filter_of(
                "gives",
                "<filterref filter='uses'><parameter name='IP' value='10.0.0.1'/></filterref>",
            ),
            filter_of("round", "<filterref filter='trip'/>"),
            filter_of("trip", "<filterref filter='round'/>"),
            filter_of("unknown", "<filterref filter='nowhere'/>"),
            "<filter name='torn'><rule",
        ]
    ) == {
        "plain": False,
        "uses": True,
        "element": True,
        "each": True,
        "other": False,
        "below": True,
        "deep": True,
        "gives": False,
        "round": False,
        "trip": False,
        "unknown": False,
    }


def live(devices: str) -> etree._Element:
    return etree.fromstring(f"<domain><devices>{devices}</devices></domain>")


FILTERED = live("<interface type='bridge'><filterref filter='uses'/></interface>")
TAPS = live(
    "".join(
        f"<interface type='ethernet'><target dev='{name}'/></interface>"
        for name in ("plain", "vlans", "alone", "ovs", "gone")
    )
)


def test_the_filters_are_read_where_a_card_has_one(tmp_path: Path) -> None:
    (tmp_path / "uses.xml").write_text(filter_of("uses", rule("srcipaddr='$IP'")))
    (tmp_path / "note.txt").write_text("no filter")
    for domain, modular, found in (
        (FILTERED, False, {"uses": True}),
        (FILTERED, True, None),
        (TAPS, False, {}),
    ):
        facts = look_at_host.look(
            domain, modular=modular, links=str(tmp_path), filters_in=str(tmp_path)
        )
        assert facts.filters == found
    none = look_at_host.look(FILTERED, modular=False, filters_in=str(tmp_path / "none"))
    assert none.filters == {}


def test_taps_are_looked_for_on_linux_bridges(tmp_path: Path) -> None:
    for bridge, filtering in (("br0", "0\n"), ("br1", "1\n")):
        (tmp_path / bridge / "bridge").mkdir(parents=True)
        (tmp_path / bridge / "bridge/vlan_filtering").write_text(filtering)
    (tmp_path / "ovs-system").mkdir()
    for tap, master in (("plain", "br0"), ("vlans", "br1"), ("ovs", "ovs-system"), ("alone", "")):
        (tmp_path / tap / "brport").mkdir(parents=True)
        if master:
            (tmp_path / tap / "master").symlink_to(f"../{master}")
    (tmp_path / "vlans/brport/isolated").write_text("1\n")
    facts = look_at_host.look(TAPS, modular=False, links=str(tmp_path))
    assert facts.links == {
        "plain": Link("br0"),
        "vlans": Link("br1", vlans=True, isolated=True),
        "alone": Link(),
        "ovs": Link(),
        "gone": Link(),
    }
