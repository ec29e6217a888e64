"""Which files a definition claims, by lxml and by the hook's reader, and how a path is changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from tests.property.test_reader import MANY
from uuidfs.firmware import on_stdin
from uuidfs.firmware.names import Firmware, called_after, word_of
from uuidfs.firmware.paths import Claim, claims, moved
from uuidfs.layout.connections import system

LAYOUT = system()
NVRAM = "/var/lib/libvirt/qemu/nvram"


def document(system: str = "<os/>", devices: str = "", space: str = "") -> str:
    return f"<domain{space}><name>web</name>{system}<devices>{devices}</devices></domain>"


def claimed(xml: str) -> tuple[Claim, ...]:
    return claims(LAYOUT, etree.fromstring(xml))


GIVEN = Claim(Firmware.NVRAM, f"{NVRAM}/a_VARS.fd")
CHOSEN = Claim(Firmware.NVRAM, f"{NVRAM}/web_VARS.fd", implied=True)

CASES = {
    "<os/>": (),
    "<os firmware='bios'/>": (),
    f"<os><nvram>{NVRAM}/a_VARS.fd</nvram></os>": (GIVEN,),
    f"<os><nvram template='/t'>\n  {NVRAM}/a_VARS.fd\n</nvram></os>": (GIVEN,),
    f"<os><nvram><!-- c -->{NVRAM}/<!-- c -->a_VARS.fd<?pi x?></nvram></os>": (GIVEN,),
    f"<os firmware='efi'><nvram>{NVRAM}/a_VARS.fd</nvram></os>": (GIVEN,),
    f"<os><nvram type='file'>\n<source file='{NVRAM}/a_VARS.fd'/>\n</nvram></os>": (GIVEN,),
    "<os><nvram type='block'><source dev='/dev/x'/></nvram></os>": (),
    "<os firmware='efi'><nvram type='block'><source dev='/dev/x'/></nvram></os>": (),
    "<os firmware='efi'><nvram type='network'><source protocol='iscsi'/></nvram></os>": (),
    "<os firmware='efi'/>": (CHOSEN,),
    "<os firmware='efi'><nvram template='/t'/></os>": (CHOSEN,),
    "<os firmware='efi'><nvram> \n </nvram></os>": (CHOSEN,),
    "<os firmware='efi'><loader secure='yes'/></os>": (CHOSEN,),
    "<os firmware='efi'><loader type='rom'/></os>": (),
    "<os firmware='efi'><loader stateless='yes'/></os>": (),
    "<os firmware='efi'><nvram format='qcow2'/></os>": (
        Claim(Firmware.NVRAM, f"{NVRAM}/web_VARS.qcow2", implied=True),
    ),
    "<os firmware='efi'><varstore template='/t'/></os>": (),
    "<os firmware='efi'><varstore path='/var/lib/libvirt/qemu/varstore/web.json'/></os>": (
        Claim(Firmware.VARSTORE, "/var/lib/libvirt/qemu/varstore/web.json"),
    ),
}


@pytest.mark.parametrize("system", CASES)
def test_a_definition_claims_what_libvirt_will_open(system: str) -> None:
    assert claimed(document(system)) == CASES[system]


def test_a_pstore_and_what_is_said_in_namespaces() -> None:
    path = f"{NVRAM}/web_PSTORE.raw"
    devices = (
        f"<pstore backend='acpi-erst'>\n<path> {path} </path></pstore>"
        "<q:pstore xmlns:q='x'><path>/no</path></q:pstore>"
    )
    metadata = (
        "<metadata><m:os xmlns:m='x'><m:nvram>/no</m:nvram></m:os><os><nvram>/no</nvram></os>"
    )
    xml = document("<os/>" + metadata + "</metadata>", devices, " xmlns:q='urn:q'")
    assert claimed(xml) == (Claim(Firmware.PSTORE, path),)


@st.composite
def definitions(draw: st.DrawFn) -> str:
    """Small definitions in any arrangement that libvirt's schema has, and some that it has not."""
    text = st.sampled_from(
        [
            "",
            " ",
            "\n",
            f"{NVRAM}/a_VARS.fd",
            f" {NVRAM}/a_VARS.fd\n",
            "<!-- c -->",
            "<?pi x?>",
            "/x&amp;y",
            "<![CDATA[/z]]>",
            "<q:x>t</q:x>",
            "é",
        ]
    )
    mixed = st.lists(text, max_size=4).map("".join)

    def attributes(**values: list[str]) -> str:
        chosen = {key: draw(st.sampled_from(["", *each])) for key, each in values.items()}
        return "".join(f" {key}='{value}'" for key, value in chosen.items() if value)

    parts = []
    if draw(st.booleans()):
        parts.append(f"<loader{attributes(type=['rom', 'pflash'], stateless=['yes', 'no'])}/>")
    if draw(st.booleans()):
        source = draw(st.sampled_from(["", f"<source{attributes(file=['/f'], dev=['/d'])}/>"]))
        kind = attributes(type=["file", "block", "network"], format=["raw", "qcow2"])
        plain = "" if source or "type=" in kind else draw(mixed)
        parts.append(f"<nvram{kind}>{plain}{source}</nvram>")
    if draw(st.booleans()):
        parts.append(f"<varstore{attributes(path=['/v'], template=['/t'])}/>")
    system = "".join(draw(st.permutations(parts)))
    devices = "".join(
        draw(st.lists(st.sampled_from(["<path>/d</path>", "<disk><path>/d</path></disk>"])))
    )
    if draw(st.booleans()):
        devices += f"<pstore><path>{draw(mixed)}</path></pstore>"
    firmware = attributes(firmware=["efi", "bios"])
    extra = draw(st.sampled_from(["", "<metadata><os firmware='efi'/></metadata>"]))
    return document(f"{extra}<os{firmware}>{system}</os>", devices, " xmlns:q='urn:q'")


@MANY
@given(definitions())
def test_the_hook_reads_what_the_command_reads(xml: str) -> None:
    named = on_stdin.named(LAYOUT, "web", xml.encode())
    assert {(one.kind, one.path) for one in named} == {(c.kind, c.path) for c in claimed(xml)}


@MANY
@given(definitions())
def test_after_a_move_the_document_claims_the_other_path_and_nothing_else_is_new(xml: str) -> None:
    before = claimed(xml)
    paths = {claim.path: f"/new{number}" for number, claim in enumerate(before)}
    after = moved(LAYOUT, xml, paths, "/implied")
    wanted = tuple(
        Claim(claim.kind, "/implied" if claim.implied else paths[claim.path]) for claim in before
    )
    assert claimed(after if after is not None else xml) == wanted
    assert (after is None) == (before == ())
    assert after is None or moved(LAYOUT, after, paths, "/implied") is None


def test_every_domain_of_a_snapshot_is_changed() -> None:
    one = f"<name>web</name><os><nvram>{NVRAM}/a_VARS.fd</nvram></os>"
    xml = (
        f"<domainsnapshot><name>s</name><domain>{one}</domain>"
        f"<inactiveDomain>{one}</inactiveDomain></domainsnapshot>"
    )
    after = moved(LAYOUT, xml, {f"{NVRAM}/a_VARS.fd": "/b"}, None)
    assert after is not None
    assert after.count("<nvram>/b</nvram>") == 2


def test_what_is_no_xml_raises() -> None:
    with pytest.raises(ValueError, match=r"."):
        moved(LAYOUT, "<domain>", {}, None)
    with pytest.raises(ValueError, match=r"."):
        on_stdin.named(LAYOUT, "web", b"<domain>")


@pytest.mark.parametrize(
    ("kind", "entry", "word", "other"),
    [
        (Firmware.NVRAM, "a_VARS.fd", "a", "b_VARS.fd"),
        (Firmware.NVRAM, "a_VARS_VARS.ms.fd", "a_VARS", "b_VARS.ms.fd"),
        (Firmware.NVRAM, "a\n_VARS.qcow2", "a\n", "b_VARS.qcow2"),
        (Firmware.PSTORE, "a_PSTORE.raw", "a", "b_PSTORE.raw"),
        (Firmware.VARSTORE, "a.json.json", "a.json", "b.json"),
    ],
)
def test_a_files_name_is_made_of_a_word(kind: Firmware, entry: str, word: str, other: str) -> None:
    assert word_of(kind, entry) == word
    assert called_after(kind, entry, "b") == other


@pytest.mark.parametrize("entry", ["a.fd", "_VARS.fd", "a_VARS.fd.bak", "a_VARS.fd~", "vars"])
def test_other_names_are_not_libvirts(entry: str) -> None:
    assert word_of(Firmware.NVRAM, entry) is None
    with pytest.raises(ValueError, match="libvirt does not choose"):
        called_after(Firmware.NVRAM, entry, "b")
