"""libvirt loses checkpoints at a rename; uuidfs gives them back. A difference, and wanted."""

from tests.live import guest, scripts
from tests.live.conftest import MakeHost
from tests.live.private_host import PrivateHost
from tests.live.views import errors

LIST = ("checkpoint-list", "--name", "--domain", guest.uuid(1))
MISFILED = "expecting root element of 'domainsnapshot'"


def with_checkpoints(host: PrivateHost) -> list[str]:
    """Define a domain with two checkpoints; return what libvirt says about them."""
    for step in (
        scripts.define("a", 1),
        scripts.redefine_checkpoint("a", "c1"),
        scripts.redefine_checkpoint("a", "c2", "c1"),
    ):
        result = step.act(host)
        assert result
        result.ok()
    return documents(host)


def documents(host: PrivateHost) -> list[str]:
    """The XML of both checkpoints."""
    return [host.virsh("checkpoint-dumpxml", guest.uuid(1), name).ok().out for name in ("c1", "c2")]


def listed(host: PrivateHost) -> list[str]:
    """The names of the checkpoints after the daemon has read them again."""
    host.restart()
    return host.virsh(*LIST).ok().out.split()


def test_a_rename_without_uuidfs_loses_the_checkpoints(host: PrivateHost) -> None:
    with_checkpoints(host)
    host.virsh("domrename", "a", "b").ok()
    assert listed(host) == []
    assert MISFILED in errors(host)


def test_a_converted_domain_keeps_its_checkpoints_when_it_is_renamed(
    converted: PrivateHost,
) -> None:
    before = with_checkpoints(converted)
    converted.uuidfs("convert", "--all").ok()
    for old, new in (("a", "b"), ("b", "c"), ("c", "a")):
        converted.virsh("domrename", old, new).ok()
        converted.uuidfs("convert", "--all").ok()
        assert listed(converted) == ["c1", "c2"]
        assert documents(converted) == before
        assert not list((converted.root / "lib/qemu/snapshot" / new).glob("*"))
    assert MISFILED not in errors(converted)
    converted.uuidfs("check").ok()
    # As docs/faq.md says: libvirt does not undefine a domain that has some.
    refused = converted.virsh("undefine", "a")
    assert refused.code != 0
    assert "cannot delete inactive domain with 2 checkpoints" in refused.err
    converted.virsh("undefine", "a", "--checkpoints-metadata", "--snapshots-metadata").ok()


def test_a_checkpoint_that_was_deleted_after_a_rename_does_not_come_back(
    converted: PrivateHost,
) -> None:
    """libvirt deletes it where there is no file, and leaves the misfiled one."""
    with_checkpoints(converted)
    converted.uuidfs("convert", "--all").ok()
    converted.virsh("domrename", "a", "b").ok()
    converted.virsh("checkpoint-delete", "b", "c2", "--metadata").ok()
    converted.uuidfs("convert", "--all").ok()
    assert listed(converted) == ["c1"]
    assert not list((converted.root / "lib/qemu/snapshot/b").glob("*"))
    converted.uuidfs("check").ok()


def test_a_renamed_domain_gets_its_checkpoints_back_when_it_is_converted_later(
    make_host: MakeHost, uuidfs_works: None
) -> None:
    host = make_host()
    before = with_checkpoints(host)
    host.virsh("domrename", "a", "b").ok()
    assert listed(host) == []
    host.uuidfs("convert", "--all").ok()
    assert listed(host) == ["c1", "c2"]
    assert documents(host) == before
