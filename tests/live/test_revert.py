"""revert --all gives the plain layout back exactly, and libvirt sees no difference."""

import os
from pathlib import Path

from tests.live import scripts
from tests.live.private_host import PrivateHost
from tests.live.script import virsh
from tests.live.views import logs, views

TREES = ("etc/qemu", "log/qemu", "lib/qemu/snapshot", "lib/qemu/checkpoint")


def tree(host: PrivateHost) -> dict[str, tuple[int, int, int, int, int]]:
    """Every entry below libvirt's directories: inode, mode, owner, time of change."""
    found = {}
    for path in entries(host):
        status = path.lstat()
        key = str(path.relative_to(host.root))
        times = 0 if path.is_dir() else status.st_mtime_ns
        found[key] = (status.st_ino, status.st_mode, status.st_uid, status.st_gid, times)
    return found


def entries(host: PrivateHost) -> list[Path]:
    """All paths below libvirt's directories."""
    return [
        Path(top) / name
        for part in TREES
        for top, directories, files in os.walk(host.root / part)
        for name in directories + files
    ]


def leftovers(host: PrivateHost) -> list[str]:
    """Links and store directories that should not be there; autostart links are libvirt's."""
    paths = [
        path
        for path in entries(host)
        if (path.is_symlink() and path.parent.name != "autostart") or path.name == "by-uuid"
    ]
    if (host.root / "lib/by-uuid").exists():
        paths.append(host.root / "lib/by-uuid")
    return sorted(str(path.relative_to(host.root)) for path in paths)


def kept(host: PrivateHost) -> list[str]:
    """The files in the stores."""
    stores = ("etc/qemu/by-uuid", "log/qemu/by-uuid", "lib/by-uuid")
    return [
        str(path)
        for store in stores
        for path in (host.root / store).rglob("*")
        if not path.is_dir()
    ]


def populate(host: PrivateHost) -> None:
    """Two domains, with snapshots, checkpoints, autostart and logs; the second one runs."""
    for step in (
        scripts.define("a", 1),
        virsh("start", "a"),
        virsh("snapshot-create-as", "a", "s1"),
        virsh("snapshot-create-as", "a", "s2"),
        virsh("autostart", "a"),
        virsh("destroy", "a"),
        scripts.define("b", 2),
        scripts.redefine_checkpoint("b", "c1"),
        virsh("start", "b"),
    ):
        result = step.act(host)
        assert result
        result.ok()


def test_revert_gives_back_the_same_files(converted: PrivateHost) -> None:
    host = converted
    host.uuidfs("hook", "remove").ok()
    host.reload()
    populate(host)
    host.restart()  # after which libvirt itself shows a running guest with more detail
    before, seen = tree(host), views(host)
    host.uuidfs("convert", "--all").ok()
    assert leftovers(host)
    assert views(host) == seen
    host.uuidfs("revert", "--all").ok()
    assert leftovers(host) == []
    assert tree(host) == before
    assert views(host) == seen
    host.restart()
    assert views(host) == seen


def test_revert_after_a_busy_life_leaves_what_libvirt_would_have(converted: PrivateHost) -> None:
    host = converted
    populate(host)
    host.uuidfs("convert", "--all").ok()
    for step in (
        virsh("setmem", "b", "12MiB", "--config"),
        virsh("destroy", "b"),
        virsh("domrename", "b", "c"),
        virsh("snapshot-delete", "a", "s1"),
        scripts.define("b", 3),
        virsh("start", "b"),
        virsh("start", "c"),
    ):
        result = step.act(host)
        assert result
        result.ok()
    host.uuidfs("convert", "--all").ok()
    host.restart()
    seen, said = views(host), logs(host)
    host.uuidfs("hook", "remove").ok()
    host.reload()
    host.uuidfs("revert", "--all").ok()
    assert kept(host)
    assert all("/trash/" in path for path in kept(host))
    assert [path for path in leftovers(host) if not path.endswith("by-uuid")] == []
    assert logs(host) == said
    assert views(host) == seen
    host.restart()
    assert views(host) == seen
    for name in ("b", "c"):
        host.virsh("destroy", name).ok()
        host.virsh("start", name).ok()
    assert not host.path("/var/log/libvirt/qemu/b.log").is_symlink()


def test_convert_and_revert_can_alternate_while_a_guest_runs(converted: PrivateHost) -> None:
    host = converted
    populate(host)
    host.restart()
    seen = views(host)
    for _ in range(3):
        host.uuidfs("revert", "--all").ok()
        assert leftovers(host) == []
        host.uuidfs("convert", "--all").ok()
        host.uuidfs("check").ok()
        host.restart()
        assert views(host) == seen
