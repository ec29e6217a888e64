"""A tree with its daemon: built, taken down and told from others."""

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.exhaustion.firmware.libvirt import Broken, Domain, Libvirt
from tests.exhaustion.picture import Template

NVRAM = "var/lib/libvirt/qemu/nvram/"
KEPT = "var/lib/libvirt/by-uuid/kept/"
_CONFIG, _LOG = "etc/libvirt/qemu/", "var/log/libvirt/qemu/"
_LOCKS = "run/uuidfs/lock/"


@dataclass(frozen=True)
class World:
    """What :meth:`build` makes."""

    template: Template
    domains: tuple[tuple[Domain, str | None], ...]  # and a name of the file that is its own
    clock: int

    def build(self, root: Path, daemon: Libvirt) -> None:
        self.template.build(root)
        daemon.clock = self.clock
        daemon.domains = {
            domain.uuid: replace(domain, variables=(root / own).stat().st_ino if own else None)
            for domain, own in self.domains
        }


class Look:
    """A tree and its daemon at this moment. ``key`` is the same where all goes on alike, ``files``
    where the hook's first look finds the same. Raises Broken where variables are nowhere."""

    def __init__(self, root: Path, daemon: Libvirt) -> None:
        self.root, self.daemon = str(root), daemon
        self.found = dict(self._walk(""))
        self.names = {
            rel: status.st_ino
            for rel, status in self.found.items()
            if rel.startswith((NVRAM, KEPT)) and stat.S_ISREG(status.st_mode)
        }
        daemon.domains = {uuid: self._seen(d) for uuid, d in daemon.domains.items()}
        self.domains = []
        for domain in daemon.domains.values():
            own = next((r for r, inode in self.names.items() if inode == domain.variables), None)
            if domain.variables is not None and own is None and domain.seen:
                raise Broken(f"the variables of {domain.name} are gone")
            self.domains.append((domain, own))
        self.files = self._files()
        self.key = self.files, self._rest()

    def _walk(self, below: str) -> Iterator[tuple[str, os.stat_result]]:
        with os.scandir(f"{self.root}/{below}") as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                rel = f"{below}{entry.name}"
                if entry.name in {"trash", "retention.json"}:
                    self._forget(entry)  # the times in it would make every world another one
                    continue
                if rel.startswith(_LOCKS):
                    continue
                yield rel, entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(rel + "/")

    def _forget(self, entry: os.DirEntry[str]) -> None:
        if entry.is_dir():
            shutil.rmtree(entry.path)
        else:
            os.unlink(entry.path)

    def _seen(self, domain: Domain) -> Domain:
        """Whether uuidfs knows by now whose the file is."""
        places = (f"{KEPT}{domain.uuid}/nvram", f"{NVRAM}{domain.uuid}_VARS.fd")
        found = {self.names.get(place, 0) for place in places}
        return replace(domain, seen=domain.seen or domain.variables in found)

    def _files(self) -> object:
        label: dict[int, int] = {}
        for inode in self.names.values():
            label.setdefault(inode, len(label))
        return (
            tuple((rel, label[inode]) for rel, inode in self.names.items()),
            tuple(
                (rel, os.readlink(f"{self.root}/{rel}") if stat.S_ISLNK(status.st_mode) else "")
                for rel, status in self.found.items()
                if rel.startswith((_CONFIG, _LOG)) and not stat.S_ISDIR(status.st_mode)
            ),
        )

    def _rest(self) -> object:
        timed = [
            rel
            for rel, status in self.found.items()
            if rel in self.names or (rel.startswith(_CONFIG) and stat.S_ISREG(status.st_mode))
        ]
        times = [self.found[rel].st_mtime_ns for rel in timed]
        rank = {time: number for number, time in enumerate(sorted(set(times)))}
        return (
            tuple(self._read(rel) for rel in self.names),
            tuple(rank[time] for time in times),
            tuple((replace(domain, variables=None), own) for domain, own in self.domains),
        )

    def _read(self, rel: str) -> bytes:
        with open(f"{self.root}/{rel}", "rb") as file:
            return file.read()

    def world(self) -> World:
        made, first = Template(), dict[int, str]()
        for rel, status in self.found.items():
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                made.directories.append((rel, mode, status.st_uid, status.st_gid))
            elif stat.S_ISLNK(status.st_mode):
                made.links.append((rel, os.readlink(f"{self.root}/{rel}")))
            elif status.st_ino in first:
                made.hard_links.append((rel, first[status.st_ino]))
            else:
                first[status.st_ino] = rel
                data = self._read(rel)
                made.files.append((rel, data, mode, status.st_uid, status.st_mtime_ns))
        return World(made, tuple(self.domains), self.daemon.clock)
