"""The one model of libvirt: its file operations, one system call at a time, so that anything can
happen in between.

The order of the calls is that of libvirt 9.0 (tests/data/*.calls, recorded from a real one by
tests/live/test_recordings.py; tests/property/test_recordings.py compares). Each operation is a
generator that stops after every call that changes a name. The functions at the end run one
operation to its end, on a tree that nobody else has looked at.
"""

import contextlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.trees import Host, domain_xml, snapshot_xml
from uuidfs.layout.places import Kind
from uuidfs.reconcile.queue import ChangedName

Steps = Iterator[None]
RENAME_STEPS = 5


@dataclass
class Known:
    """A domain as libvirtd has it in memory: its documents."""

    uuid: str
    config: bytes
    autostart: bool = False
    snapshots: dict[str, bytes] = field(default_factory=dict)
    checkpoints: dict[str, bytes] = field(default_factory=dict)


class Libvirtd:
    """A daemon on a tree, which it reads at its start. ``truth`` is what each name path has to
    give, by libvirt's own calls; ``events`` what inotify would tell; ``calls`` its changing
    system calls; ``removed`` what undefine and snapshot-delete removed, by UUID and object."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.domains: dict[str, Known] = {}
        self.truth: dict[Path, bytes] = {}
        self.events: list[ChangedName] = []
        self.calls: list[tuple[str, str]] = []
        self.removed: dict[tuple[str, str], bytes] = {}
        self.writes = 0  # so that no two documents are the same
        for path in sorted(self.host.config.glob("*.xml")):
            self._read_domain(path)

    def _read_domain(self, path: Path) -> None:
        """Its memory is what it reads; what tells no UUID it leaves alone."""
        with contextlib.suppress(OSError):
            text = path.read_bytes()
            if (found := re.search(rb"<uuid>(.*?)</uuid>", text)) is None:
                return
            name = path.name[:-4]
            known = self.domains[name] = Known(found[1].decode(), text)
            known.autostart = (self.host.autostart / path.name).is_symlink()
            self.truth[path] = text
            for top, into in (
                (self.host.snapshot, known.snapshots),
                (self.host.checkpoint, known.checkpoints),
            ):
                self._read_metadata(top, name, into)

    def _read_metadata(self, top: Path, name: str, into: dict[str, bytes]) -> None:
        for path in sorted((top / name).glob("*.xml")):
            text = path.read_bytes()
            if text.startswith(b"<domaincheckpoint") != (top == self.host.checkpoint):
                continue  # misfiled: "expecting root element of"
            into[path.name[:-4]] = text
            self.truth[path] = text

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
        new = _write_new(path, data, sync=False)
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

    def delete_tree(self, path: Path) -> Steps:
        """virFileDeleteTree: opens by path (so follows a symlink at the top), unlinks, rmdirs."""
        if not path.is_dir():
            return
        for entry in sorted(os.listdir(path)):
            if (path / entry).is_dir() and not (path / entry).is_symlink():
                yield from self.delete_tree(path / entry)
            else:
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

    def _symlink(self, name: str) -> Steps:
        """Absolute in libvirt, relative here so that the tree can move."""
        path = self.host.autostart / f"{name}.xml"
        if not path.is_symlink():
            path.symlink_to(f"../{name}.xml")
            self._note("symlink", path)
            yield

    # -- what virsh asks for ----------------------------------------------------------------

    def clean_up(self, name: str) -> Steps:
        """The first step of define and domrename, and the last of domrename; logs stay."""
        yield from self._unlink(self.host.config_of(name))
        yield from self._unlink(self.host.autostart / f"{name}.xml")
        yield from self.delete_tree(self.host.snapshot / name)
        yield from self.delete_tree(self.host.checkpoint / name)

    def define(self, name: str, uuid: str) -> Steps:
        """A new domain."""
        yield from self.clean_up(name)
        known = self.domains[name] = Known(uuid, self._next_config(name, uuid))
        yield from self._save(self.host.config_of(name), known.config)

    def save(self, name: str) -> Steps:
        """``virsh setmem --config`` and the like."""
        known = self.domains[name]
        known.config = self._next_config(name, known.uuid)
        yield from self._save(self.host.config_of(name), known.config)

    def _next_config(self, name: str, uuid: str) -> bytes:
        self.writes += 1
        return domain_xml(name, uuid, f"write {self.writes}")

    def undefine(self, name: str) -> Steps:
        """``virsh undefine --snapshots-metadata --checkpoints-metadata``."""
        known = self.domains[name]
        for documents, top in (
            (known.snapshots, self.host.snapshot),
            (known.checkpoints, self.host.checkpoint),
        ):
            for each in list(documents):
                yield from self._remove(name, each, top / name / f"{each}.xml")
                del documents[each]
        yield from self._unlink(self.host.autostart / f"{name}.xml")
        yield from self._remove(name, "", self.host.config_of(name))
        del self.domains[name]
        yield from self._rmdir(self.host.snapshot / name)

    def snapshot(self, name: str, snapshot: str) -> Steps:
        """``virsh snapshot-create-as``, or its ``--redefine``."""
        known = self.domains[name]
        yield from self._mkdir(self.host.snapshot / name)
        self.writes += 1
        text = snapshot_xml(snapshot, name, known.uuid) + b"<!-- %d -->\n" % self.writes
        known.snapshots[snapshot] = text
        self.removed.pop((known.uuid, snapshot), None)  # the new one supersedes it
        yield from self._save(self.host.snapshot / name / f"{snapshot}.xml", text)

    def checkpoint(self, name: str, checkpoint: str) -> Steps:
        """``virsh checkpoint-create --redefine``."""
        known = self.domains[name]
        text = snapshot_xml(checkpoint, name, known.uuid, "domaincheckpoint")
        known.checkpoints[checkpoint] = text
        self.removed.pop((known.uuid, checkpoint), None)
        yield from self._mkdir(self.host.checkpoint / name)
        yield from self._save(self.host.checkpoint / name / f"{checkpoint}.xml", text)

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
        """``virsh autostart``."""
        self.domains[name].autostart = True
        yield from self._symlink(name)

    def rename(self, old: str, new: str, *, misfile: bool = True) -> Steps:
        """``virsh domrename``. ``misfile``: its defect in 9.0 and 11.3, by which checkpoints are
        written into snapshot/NEW."""
        for step in self.rename_steps(old, new, misfile=misfile):
            yield from step()

    def rename_steps(
        self, old: str, new: str, *, misfile: bool = True
    ) -> tuple[Callable[[], Steps], ...]:
        """Its five steps; a crash can come after each."""

        def take_autostart() -> Steps:
            known = self.domains[new] = self.domains[old]
            if known.autostart:
                yield from self._symlink(new)

        def write_metadata() -> Steps:
            known = self.domains[new]
            for documents, top in (
                (known.snapshots, self.host.snapshot),
                (known.checkpoints, self.host.snapshot if misfile else self.host.checkpoint),
            ):
                for each, text in list(documents.items()):
                    documents[each] = _renamed(text, old, new)
                    yield from self._mkdir(top / new)
                    yield from self._save(top / new / f"{each}.xml", documents[each])

        def write_config() -> Steps:
            known = self.domains[new]
            known.config = _renamed(known.config, old, new)
            yield from self._save(self.host.config_of(new), known.config)

        def remove_old() -> Steps:
            yield from self.clean_up(old)
            del self.domains[old]

        return lambda: self.clean_up(new), take_autostart, write_metadata, write_config, remove_old

    def remove_logs(self, name: str) -> Steps:
        """``virsh destroy --remove-logs``: NAME.log and NAME.log.N."""
        for suffix in ("", ".0", ".1", ".2"):
            yield from self._unlink(self.host.log_of(name, suffix))


def _renamed(document: bytes, old: str, new: str) -> bytes:
    """With the domain's other name; a snapshot may be called as its domain is."""
    before, after = (f"<name>{escape(name)}</name>".encode() for name in (old, new))
    return re.sub(re.escape(before) + rb"(?=\s*<uuid>)", lambda _: after, document)


def _write_new(path: Path, data: bytes, *, sync: bool) -> Path:
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    return new


# -- whole operations ------------------------------------------------------------------------


def finish(steps: Steps) -> None:
    """Let an operation go on to its end."""
    deque(steps, maxlen=0)


def libvirt_save(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Every save of libvirt: NAME.xml.new, fsync, rename over NAME.xml."""
    os.rename(_write_new(path, data, sync=sync), path)


def libvirt_clean_up(host: Host, name: str) -> None:
    """What undefine, and step 1 of define and domrename, remove; logs stay."""
    finish(Libvirtd(host).clean_up(name))


def libvirt_domrename(
    host: Host, old: str, new: str, *, steps: int = RENAME_STEPS, misfile: bool = True
) -> None:
    """``virsh domrename``; fewer than all ``steps`` cut it short as a crash would."""
    for step in Libvirtd(host).rename_steps(old, new, misfile=misfile)[:steps]:
        finish(step())


def virtlogd_rollover(host: Host, name: str, first_line: bytes, *, backups: int = 3) -> None:
    """virtlogd at max_size: renames the chain, links as they are, and begins a new log."""
    for number in range(backups - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(host.log_of(name, f".{number - 1}"), host.log_of(name, f".{number}"))
    os.rename(host.log_of(name), host.log_of(name, ".0"))
    fd = os.open(host.log_of(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, first_line)
    os.close(fd)
