"""Tiny trees: how one is built again for each run, and what one looks like.

A picture has no inode numbers and no times. An inode is called after the step that made it, so
the same steps in another order give the same picture.
"""

import os
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

_TOPS = ("etc", "var")
_MARK = "~directory"  # a link whose text is the inode of a directory
_SECOND = 1_000_000_000
_FIRST = 1_800_000_000 * _SECOND


@dataclass
class Template:
    """A tree, to be built as often as needed."""

    directories: list[tuple[str, int, int, int]] = field(default_factory=list)
    files: list[tuple[str, bytes, int, int, int]] = field(default_factory=list)
    hard_links: list[tuple[str, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    marks: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path) -> "Template":
        """All that lies below ``root``."""
        made, first, inodes = cls(), dict[int, str](), dict[int, str]()
        found = [
            os.path.relpath(path, root)
            for path in sorted(root.rglob("*"))
            if "run/uuidfs/lock/" not in str(path)
        ]
        for rel in found:
            inodes[os.lstat(root / rel).st_ino] = rel
        for rel in found:
            status = os.lstat(root / rel)
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                made.directories.append((rel, mode, status.st_uid, status.st_gid))
            elif status.st_ino in first:
                made.hard_links.append((rel, first[status.st_ino]))
            elif stat.S_ISLNK(status.st_mode):
                first[status.st_ino] = rel
                text = os.readlink(root / rel)
                if rel.endswith(_MARK):
                    made.marks.append((rel, inodes[int(text)]))
                else:
                    made.links.append((rel, text))
            else:
                first[status.st_ino] = rel
                data = (root / rel).read_bytes()
                made.files.append((rel, data, mode, status.st_uid, status.st_mtime_ns))
        return made

    def build(self, root: Path) -> None:
        """Build it at ``root``, in the place of what is there."""
        shutil.rmtree(root, ignore_errors=True)
        top = os.fspath(root)
        os.mkdir(top)
        own = os.geteuid()
        for rel, mode, uid, gid in self.directories:
            os.mkdir(f"{top}/{rel}")
            os.chmod(f"{top}/{rel}", mode)
            if uid != own:
                os.chown(f"{top}/{rel}", uid, gid)
        for rel, data, mode, uid, mtime in self.files:
            fd = os.open(f"{top}/{rel}", os.O_WRONLY | os.O_CREAT, mode)
            os.write(fd, data)
            if uid != own:
                os.fchown(fd, uid, uid)
            os.utime(fd, ns=(mtime, mtime))
            os.close(fd)
        for rel, text in self.links:
            os.symlink(text, f"{top}/{rel}")
        for rel, other in self.hard_links:
            os.link(f"{top}/{other}", f"{top}/{rel}", follow_symlinks=False)
        for rel, other in self.marks:
            os.symlink(str(os.stat(f"{top}/{other}").st_ino), f"{top}/{rel}")


class Picture:
    """What a tree looks like, kept up to date by looking at the directories of each step."""

    def __init__(self, root: Path) -> None:
        self.root = os.fspath(root)
        self.labels: dict[int, str] = {}
        self.changed: dict[int, int] = {}  # in place of ctime: the step that moved the inode last
        self.entries: dict[str, dict[str, tuple[int, int, str]]] = {}
        self._hashes: dict[str, int] = {}
        self._all: int | None = None
        for top in _TOPS:
            self._scan(top, "0", 0)

    def label(self, inode: int) -> str:
        """What an inode is called."""
        return self.labels.get(inode, "?")

    def step(self, directories: Iterable[str], who: str, stamp: int) -> None:
        """Look again after a step in some directories; ``who`` made what is new there."""
        self._all = None
        for path in sorted({each for each in directories if each.startswith(self.root)}):
            rel = path[len(self.root) + 1 :]
            if rel.startswith(_TOPS):
                self._scan(rel, who, stamp)

    def step_anywhere(self, who: str, stamp: int) -> None:
        """After a step that moved a directory."""
        self._all = None
        self.entries.clear()
        self._hashes.clear()
        for top in _TOPS:
            self._scan(top, who, stamp)

    def _scan(self, rel: str, who: str, stamp: int) -> None:
        before, now = self.entries.get(rel, {}), dict[str, tuple[int, int, str]]()
        try:
            with os.scandir(f"{self.root}/{rel}") as found:
                for entry in found:
                    status = entry.stat(follow_symlinks=False)
                    form = stat.S_IFMT(status.st_mode)
                    text = os.readlink(entry.path) if form == stat.S_IFLNK else ""
                    now[entry.name] = status.st_ino, form, text
        except FileNotFoundError:
            self._forget(rel)
            return
        for name in sorted(now.keys() | before.keys()):
            if now.get(name) == before.get(name):
                continue
            for inode, _, _ in (x for x in (before.get(name), now.get(name)) if x is not None):
                self.changed[inode] = stamp
            if name in before and before[name][1] == stat.S_IFDIR:
                self._forget(f"{rel}/{name}")
            if name in now:
                inode, form, _ = now[name]
                if inode not in self.labels:
                    self._name(inode, form, f"{rel}/{name}", who, stamp)
                if form == stat.S_IFDIR:
                    self._scan(f"{rel}/{name}", who, stamp)
        self.entries[rel] = now
        self._hash(rel)

    def _name(self, inode: int, form: int, rel: str, who: str, stamp: int) -> None:
        self.labels[inode] = f"{who}:{rel}"
        if form == stat.S_IFREG and stamp:
            when = _FIRST + stamp * _SECOND
            os.utime(f"{self.root}/{rel}", ns=(when, when))

    def _hash(self, rel: str) -> None:
        self._hashes[rel] = hash(
            frozenset(
                (name, self.label(inode), self.text(text))
                for name, (inode, _, text) in self.entries[rel].items()
            )
        )

    def text(self, text: str) -> str:
        """A link's text; an inode in it by its name."""
        return self.label(int(text)) if text.isdigit() else text

    def _forget(self, rel: str) -> None:
        for known in [k for k in self.entries if k == rel or k.startswith(rel + "/")]:
            del self.entries[known]
            del self._hashes[known]

    def key(self) -> int:
        """The whole tree."""
        if self._all is None:
            self._all = hash(frozenset(self._hashes.items()))
        return self._all

    def names_key(self) -> int:
        """All that libvirt can see: not the stores."""
        return hash(frozenset(x for x in self._hashes.items() if "by-uuid" not in x[0]))
