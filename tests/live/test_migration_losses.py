"""What other people write during a trip is not lost: disks, metadata and configs."""

import json
import re

import pytest

from tests.live import guest
from tests.live.migration import (
    SESSIONS,
    UUID,
    at_home,
    counts,
    leftovers,
    prepare,
    uuidfs,
    went_on,
)
from tests.live.planned import HOME, OUT, Plan, before, killed, uuidfs_at
from tests.live.private_host import PrivateHost

# The moments of a trip at which somebody else's virsh may come: all of them before libvirt's job.
MOMENTS = ("set_aside.keep", "set_aside.take_out", "set_aside._children_first", "hop.move")


@pytest.fixture(autouse=True)
def _able(ready: PrivateHost) -> None:
    """The hook, and libvirt-python."""


def moved(host: PrivateHost, plan: Plan, *words: str) -> str:
    """A trip by a plan; returns what it said."""
    done = uuidfs_at(host, plan, *(words or ("local-migrate", "a")))
    print(done.err)
    assert done.err.count("driver: ") == len(plan), f"a point was not passed: {done}"
    assert "exit 0" in done.err, f"somebody's command failed: {done}"
    assert done.code == 0, done
    return done.err


def disk(host: PrivateHost) -> str:
    """Where the guest's disk is, by libvirt's word."""
    listed = host.virsh("domblklist", "a", "--details").ok().out
    return next(line.split()[3] for line in listed.splitlines() if " vda " in line)


def node(host: PrivateHost) -> str:
    """Where QEMU itself writes, by QEMU's word."""
    asked = host.virsh("qemu-monitor-command", "a", '{"execute": "query-block"}').ok().out
    return str(json.loads(asked)["return"][0]["inserted"]["image"]["filename"])


def names(host: PrivateHost, name: str = "a") -> list[str]:
    """Its snapshots, parents first, and the current one last."""
    listed = host.virsh("snapshot-list", name, "--name", "--topological").ok().out.split()
    return [*listed, host.virsh("snapshot-current", name, "--name").out.strip()]


def parents(host: PrivateHost, kind: str = "snapshot") -> dict[str, str]:
    """Each snapshot's or checkpoint's parent."""
    found = {}
    for one in host.virsh(f"{kind}-list", "a", "--name").ok().out.split():
        xml = host.virsh(f"{kind}-dumpxml", "a", one).ok().out
        parent = re.search(r"<parent>\s*<name>(.*)</name>", xml)
        found[one] = parent[1] if parent else ""
    return found


def chain(host: PrivateHost, *several: str) -> None:
    """A guest with snapshots, each the parent of the next; the last one is the current one."""
    prepare(host)
    for one in several:
        host.virsh("snapshot-create-as", "a", one, "--disk-only").ok()


@pytest.mark.parametrize(
    ("moment", "metadata"), [*((moment, "") for moment in MOMENTS), ("hop.move", "--no-metadata")]
)
def test_a_snapshot_in_the_last_moment(host: PrivateHost, moment: str, metadata: str) -> None:
    """The guest goes on in the overlay, which would be a file that nobody reads otherwise."""
    prepare(host)
    moved(host, [before(moment, f"virsh snapshot-create-as a late --disk-only {metadata}")])
    assert disk(host) == node(host) == "/var/lib/libvirt/images/1.late"
    assert names(host) == ([""] if metadata else ["late", "late"])
    at_home(host)
    went_on(counts(host))


@pytest.mark.parametrize("moment", ["hop.move", "set_aside._taken"])
def test_a_child_in_the_last_moment(host: PrivateHost, moment: str) -> None:
    chain(host, "s1", "s2")
    moved(host, [before(moment, "virsh snapshot-create-as a late --disk-only")])
    assert parents(host) == {"s1": "", "s2": "s1", "late": "s2"}
    assert names(host) == ["s1", "s2", "late", "late"]
    assert node(host) == "/var/lib/libvirt/images/1.late"
    at_home(host)


@pytest.mark.parametrize(
    ("moment", "gone", "left", "current"),
    [
        ("set_aside.take_out", "s3", {"s1": "", "s2": "s1"}, "s2"),
        ("set_aside.take_out", "s2", {"s1": "", "s3": "s1"}, "s3"),
        ("set_aside._taken", "s2", {"s1": "", "s3": "s1"}, "s3"),
    ],
)
def test_what_somebody_deletes_does_not_come_back(
    host: PrivateHost, moment: str, gone: str, left: dict[str, str], current: str
) -> None:
    chain(host, "s1", "s2", "s3")
    moved(host, [before(moment, f"virsh snapshot-delete a {gone} --metadata")])
    assert parents(host) == left
    assert names(host)[-1] == current
    at_home(host)


def test_a_parent_deleted_once_its_child_is_aside(host: PrivateHost) -> None:
    chain(host, "s1", "s2", "s3")
    moved(host, [before("set_aside._taken", "virsh snapshot-delete a s2 --metadata", 2)])
    assert parents(host) == {"s1": "", "s3": "s1"}
    assert names(host)[-1] == "s3"
    at_home(host)


def test_the_current_one_deleted_once_a_checkpoint_is_aside(host: PrivateHost) -> None:
    chain(host, "s1", "s2")
    host.path("/run/c.xml").write_text(guest.checkpoint("c1"))
    host.virsh("checkpoint-create", "a", "/run/c.xml", "--redefine").ok()
    moved(host, [before("set_aside._taken", "virsh snapshot-delete a s2 --metadata", 2)])
    assert names(host) == ["s1", "s1"]
    assert parents(host, "checkpoint") == {"c1": ""}


def test_another_one_made_current(host: PrivateHost) -> None:
    chain(host, "s1", "s2")
    moved(host, [before("set_aside.take_out", "virsh snapshot-current a s1")])
    assert names(host) == ["s1", "s2", "s1"]


@pytest.mark.parametrize("moment", ["set_aside.take_out", "hop.move"])
def test_checkpoints_made_and_deleted(host: PrivateHost, moment: str) -> None:
    prepare(host)
    for one in ("c1", "c2"):
        host.virsh("checkpoint-create-as", "a", one).ok()
    command = "virsh checkpoint-create-as a late"
    if moment != "hop.move":  # where they are aside
        command += " && virsh checkpoint-delete a c2 --metadata"
    moved(host, [before(moment, command)])
    assert parents(host, "checkpoint") == (
        {"c1": "", "c2": "c1", "late": "c2"} if moment == "hop.move" else {"c1": "", "late": "c1"}
    )
    at_home(host)


def test_a_snapshot_made_before_the_others_are_back(host: PrivateHost) -> None:
    chain(host, "s1")
    moved(host, [before("set_aside.put_back", "virsh snapshot-create-as a late --disk-only")])
    assert names(host)[-1] == "late"
    assert parents(host) == {"s1": "", "late": "s1"}


def test_autostart_disabled_while_the_guest_is_away(host: PrivateHost) -> None:
    prepare(host)
    host.virsh("autostart", "a").ok()
    moved(host, [before("hop.move", "virsh autostart a --disable", HOME)])
    assert "Autostart:      disable" in host.virsh("dominfo", "a").ok().out


def test_undefined_while_the_guest_is_away(host: PrivateHost) -> None:
    """It is transient from then on, as with every running guest; and gone once it has ended."""
    prepare(host)
    moved(host, [before("hop.move", "virsh undefine a", HOME)])
    assert "Persistent:     no" in host.virsh("dominfo", "a").ok().out
    at_home(host)


def test_undefined_while_the_guest_is_away_and_ends(host: PrivateHost) -> None:
    chain(host, "s1")
    end = f"virsh undefine a; kill -KILL $(cat {SESSIONS}/peer-{UUID}/run/qemu/a-incoming.pid)"
    said = uuidfs_at(host, [before("hop.move", end, HOME)], "local-migrate", "a")
    assert said.code == 1, said
    assert "has ended" in said.err
    assert host.virsh("list", "--all", "--name").ok().out.split() == [], "it does not come back"
    assert leftovers(host) == []


def power_cut(host: PrivateHost) -> None:
    """In the middle of a trip, before anybody starts anything again."""
    assert uuidfs_at(host, [killed("hop.move")], "local-migrate", "a").code == -9
    host.run("pkill", "-KILL", "libvirtd|virtqemud|qemu-system|virtlogd")
    for entry in ("uuidfs", "libvirt"):
        host.run("rm", "-rf", f"/run/{entry}")


@pytest.mark.parametrize("kind", ["snapshot", "checkpoint"])
def test_a_power_cut_while_libvirt_saves_what_was_aside(host: PrivateHost, kind: str) -> None:
    """It had written NAME.xml.new, and reads that when it starts: it knows it, but has no file of
    its name, which a rename or a deletion would then miss."""
    prepare(host)
    if kind == "snapshot":
        host.virsh("snapshot-create-as", "a", "one", "--disk-only").ok()
    else:
        host.path("/run/one.xml").write_text(guest.checkpoint("one"))
        host.virsh("checkpoint-create", "a", "/run/one.xml", "--redefine").ok()
    file = f"/var/lib/libvirt/qemu/{kind}/a/one.xml"
    text = host.run("cat", file).ok().out
    power_cut(host)
    assert not host.path(file).exists()
    host.path(file).parent.mkdir(exist_ok=True)
    host.path(f"{file}.new").write_text(text)
    host.virtlogd.start()
    host.libvirtd.start()
    assert parents(host, kind) == {"one": ""}, "libvirt reads any file there"
    uuidfs(host, "local-migrate", "--recover").ok()
    assert host.run("cat", file).code == 0
    assert not host.path(f"{file}.new").exists(), "libvirt's save has taken its place"
    assert parents(host, kind) == {"one": ""}
    assert leftovers(host) == []


def test_a_trip_after_a_power_cut_keeps_what_was_aside(host: PrivateHost) -> None:
    chain(host, "s1", "s2")
    before_it = {one: host.virsh("snapshot-dumpxml", "a", one).ok().out for one in ("s1", "s2")}
    power_cut(host)
    host.virtlogd.start()
    host.libvirtd.start()
    assert host.virsh("snapshot-list", "a", "--name").ok().out.split() == []
    host.virsh("start", "a").ok()
    uuidfs(host, "local-migrate", "a").ok()
    for one, xml in before_it.items():
        assert host.virsh("snapshot-dumpxml", "a", one).ok().out == xml
    assert names(host) == ["s1", "s2", "s2"]
    assert leftovers(host) == []


@pytest.mark.parametrize("moment", ["set_aside.take_out", "hop.move"])
def test_a_config_written_during_a_live_rename(host: PrivateHost, moment: str) -> None:
    prepare(host)
    command = "virsh setmem a 12MiB --config && virsh autostart a"
    moved(host, [before(moment, command)], "rename", "a", "b", "--live")
    config = host.virsh("dumpxml", "b", "--inactive").ok().out
    assert "<currentMemory unit='KiB'>12288</currentMemory>" in config
    assert "Autostart:      enable" in host.virsh("dominfo", "b").ok().out
    at_home(host, "b")


@pytest.mark.parametrize("call", [OUT, HOME])
def test_defined_anew_during_a_live_rename(host: PrivateHost, call: int) -> None:
    """Before it leaves, that is a change; once it is away, there is its old name again."""
    prepare(host)
    changed = guest.domain("a", 1).replace("<os>", "<title>new</title><os>")
    host.path("/run/changed.xml").write_text(changed)
    plan = [before("hop.move", "virsh define /run/changed.xml", call)]
    said = uuidfs_at(host, plan, "rename", "a", "b", "--live")
    name = "b" if call == OUT else "a"
    assert said.code == (0 if call == OUT else 1), said
    assert "<title>new</title>" in host.virsh("dumpxml", name, "--inactive").ok().out
    assert host.virsh("list", "--all", "--name").ok().out.split() == [name]
    at_home(host, name)


def test_renamed_while_the_guest_is_away(host: PrivateHost) -> None:
    """For the host's daemon it is off, so anybody can rename it: it comes home as that."""
    chain(host, "s1")
    moved(host, [before("hop.move", "virsh domrename a z", HOME)])
    assert host.virsh("list", "--all", "--name").ok().out.split() == ["z"]
    assert names(host, "z") == ["s1", "s1"]
    at_home(host, "z")
    went_on(counts(host))
