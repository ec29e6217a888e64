"""A model of libvirt's file operations: one system call at a time, so that anything can happen
in between.

The order of the calls is that of libvirt 9.0 (tests/data/*.calls, recorded from a real one by
tests/live/test_recordings.py; tests/property/test_recordings.py compares). Each operation is a
generator that stops after every call that changes a name.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.trees import Host, domain_xml, snapshot_xml
from uuidfs.layout.places import Kind
from uuidfs.reconcile.queue import ChangedName

Steps = Iterator[None]


@dataclass
class Known:
    """A domain as libvirtd has it in memory."""

    uuid: str
    note: int = 0
    autostart: bool = False
    snapshots: dict[str, int] = field(default_factory=dict)
    checkpoints: dict[str, int] = field(default_factory=dict)


class Libvirtd:
    """A daemon on a tree. ``truth`` is what each name path has to give, by libvirt's own calls;
    ``events`` what inotify would tell; ``calls`` its changing system calls."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.domains: dict[str, Known] = {}
        self.truth: dict[Path, bytes] = {}
        self.events: list[ChangedName] = []
        self.calls: list[tuple[str, str]] = []
        # What undefine and snapshot-delete removed, by UUID and object: for the trash.
        self.removed: dict[tuple[str, str], bytes] = {}

    # -- system calls -----------------------------------------------------------------------

    def _note(self, call: str, path: Path) -> None:
        self.calls.append((call, str(path.relative_to(self.host.root))))
        if path.parent == self.host.config and path.suffix == ".xml":
            self.events.append(ChangedName(Kind.CONFIG, path.stem, path.name))
        for kind, top in (
            (Kind.SNAPSHOT, self.host.snapshot),
            (Kind.CHECKPOINT, self.host.checkpoint),
        ):
            if path.parent.parent == top:
                self.events.append(ChangedName(kind, path.parent.name, path.name))
            elif path.parent == top:
                self.events.append(ChangedName(kind, path.name))

    def _unlink(self, path: Path) -> Steps:
        if not os.path.lexists(path):
            return
        path.unlink()
        self.truth.pop(path, None)
        if path.parent.parent == self.host.checkpoint:
            # Misfiled by a rename, and put right by uuidfs: it is that one which is gone now.
            misfiled = self.host.snapshot / path.parent.name / path.name
            if self.truth.get(misfiled, b"").startswith(b"<domaincheckpoint"):
                del self.truth[misfiled]
        self._note("unlink", path)
        yield

    def _save(self, path: Path, data: bytes) -> Steps:
        new = path.with_name(path.name + ".new")
        new.write_bytes(data)
        self._note("fsync", new)
        yield
        os.rename(new, path)
        self.truth[path] = data
        self._note("rename", path)
        yield

    def _mkdir(self, path: Path) -> Steps:
        if not path.is_dir():
            path.mkdir(0o755)
            self._note("mkdir", path)
            yield

    def _delete_tree(self, path: Path) -> Steps:
        if not path.is_dir():
            return
        for entry in sorted(os.listdir(path)):
            yield from self._unlink(path / entry)
        for gone in [known for known in self.truth if known.parent == path]:
            del self.truth[gone]  # uuidfs has removed it already: no domain has this name
        yield from self._rmdir(path)

    def _rmdir(self, path: Path) -> Steps:
        try:
            path.rmdir()
        except OSError:
            return  # only a warning
        self._note("rmdir", path)
        yield

    # -- what virsh asks for ----------------------------------------------------------------

    def _config(self, name: str) -> bytes:
        known = self.domains[name]
        return domain_xml(name, known.uuid, f"note {known.note}")

    def _clean_up(self, name: str) -> Steps:
        yield from self._unlink(self.host.config_of(name))
        yield from self._unlink(self.host.autostart / f"{name}.xml")
        yield from self._delete_tree(self.host.snapshot / name)
        yield from self._delete_tree(self.host.checkpoint / name)

    def define(self, name: str, uuid: str) -> Steps:
        """A new domain."""
        yield from self._clean_up(name)
        self.domains[name] = Known(uuid)
        yield from self._save(self.host.config_of(name), self._config(name))

    def save(self, name: str) -> Steps:
        """``virsh setmem --config`` and the like."""
        self.domains[name].note += 1
        yield from self._save(self.host.config_of(name), self._config(name))

    def undefine(self, name: str) -> Steps:
        """``virsh undefine --snapshots-metadata --checkpoints-metadata``."""
        for kind, top in (("snapshots", self.host.snapshot), ("checkpoints", self.host.checkpoint)):
            for each in list(getattr(self.domains[name], kind)):
                yield from self._remove(name, each, top / name / f"{each}.xml")
                del getattr(self.domains[name], kind)[each]
        yield from self._unlink(self.host.autostart / f"{name}.xml")
        yield from self._remove(name, "", self.host.config_of(name))
        del self.domains[name]
        yield from self._rmdir(self.host.snapshot / name)

    def snapshot(self, name: str, snapshot: str) -> Steps:
        """``virsh snapshot-create-as``, or its ``--redefine``."""
        known = self.domains[name]
        yield from self._mkdir(self.host.snapshot / name)
        known.snapshots[snapshot] = known.snapshots.get(snapshot, 0) + 1
        self.removed.pop((known.uuid, snapshot), None)  # the new one supersedes it
        yield from self._save(
            self.host.snapshot / name / f"{snapshot}.xml", self._snapshot(name, snapshot)
        )

    def _snapshot(self, name: str, snapshot: str) -> bytes:
        known = self.domains[name]
        text = snapshot_xml(snapshot, name, known.uuid)
        return text + b"<!-- %d -->\n" % known.snapshots[snapshot]

    def checkpoint(self, name: str, checkpoint: str) -> Steps:
        """``virsh checkpoint-create --redefine``."""
        known = self.domains[name]
        known.checkpoints[checkpoint] = 0
        self.removed.pop((known.uuid, checkpoint), None)
        yield from self._mkdir(self.host.checkpoint / name)
        yield from self._save(
            self.host.checkpoint / name / f"{checkpoint}.xml", self._checkpoint(name, checkpoint)
        )

    def _checkpoint(self, name: str, checkpoint: str) -> bytes:
        return snapshot_xml(checkpoint, name, self.domains[name].uuid, "domaincheckpoint")

    def snapshot_delete(self, name: str, snapshot: str) -> Steps:
        """``virsh snapshot-delete``."""
        del self.domains[name].snapshots[snapshot]
        yield from self._remove(name, snapshot, self.host.snapshot / name / f"{snapshot}.xml")

    def _remove(self, name: str, what: str, path: Path) -> Steps:
        if path.is_symlink() and path in self.truth:
            # A plain file that libvirt unlinks is gone, as without uuidfs.
            self.removed[self.domains[name].uuid, what] = self.truth[path]
        yield from self._unlink(path)

    def autostart(self, name: str) -> Steps:
        """``virsh autostart``; absolute in libvirt, relative here so that the tree can move."""
        self.domains[name].autostart = True
        yield from self._symlink(name)

    def _symlink(self, name: str) -> Steps:
        path = self.host.autostart / f"{name}.xml"
        if not path.is_symlink():
            path.symlink_to(f"../{name}.xml")
            self._note("symlink", path)
            yield

    def rename(self, old: str, new: str) -> Steps:
        """``virsh domrename``, with its defect: checkpoints are written into snapshot/NEW."""
        yield from self._clean_up(new)
        known = self.domains[new] = self.domains[old]
        if known.autostart:
            yield from self._symlink(new)
        where = self.host.snapshot / new
        writers: list[tuple[str, Callable[[str, str], bytes]]] = [
            *((each, self._snapshot) for each in known.snapshots),
            *((each, self._checkpoint) for each in known.checkpoints),
        ]
        for each, text in writers:
            yield from self._mkdir(where)
            yield from self._save(where / f"{each}.xml", text(new, each))
        yield from self._save(self.host.config_of(new), self._config(new))
        yield from self._clean_up(old)
        del self.domains[old]
