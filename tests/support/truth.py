"""What a tree holds, and what has to be true of it, told without any help of uuidfs.

``facts`` is the truth by name path. ``lost`` compares a tree at any instant (a kill, a full
disk) with it; ``broken_promises`` compares a tree at rest, and the layout with the table of
docs/design.md. All answers are lists of sentences, empty when all is well.
"""

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.trees import Host, name_paths

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_LOG = re.compile(r"(.+?)((?:-fs0-virtiofsd)?\.log(?:\.\d+|-\d+)*(?:\.gz)?)", re.DOTALL)
_STORE_ENTRY = {
    "config": re.compile(rf"{_UUID}\.xml"),
    "log": re.compile(rf"{_UUID}(?:-fs0-virtiofsd)?\.log(?:\.\d+|-\d+)*(?:\.gz)?"),
}


@dataclass(frozen=True)
class Fact:
    """One file, as whoever opens its name sees it."""

    data: bytes
    ino: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    xattrs: tuple[tuple[str, bytes], ...]


def fact(path: Path) -> Fact:
    """Read one file through its name, following links."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = os.fstat(fd)
        data = b""
        while piece := os.read(fd, 1 << 20):
            data += piece
        return Fact(
            data,
            found.st_ino,
            found.st_mode,
            found.st_uid,
            found.st_gid,
            found.st_mtime_ns,
            tuple((n, os.getxattr(fd, n)) for n in os.listxattr(fd)),
        )
    finally:
        os.close(fd)


def facts(host: Host, rels: Iterable[str] | None = None) -> dict[str, Fact]:
    """The truth of a whole tree: every name path, relative to the root, and what it opens.

    Or of some paths only.
    """
    return {
        rel: fact(host.root / rel)
        for rel in (name_paths(host) if rels is None else rels)
        if (host.root / rel).exists()
    }


def lost(
    host: Host, truth: Mapping[str, Fact], moved: Mapping[str, str] | None = None
) -> list[str]:
    """Name paths that do not open the file that they should, with all its attributes.

    ``moved``: names that uuidfs is to move (a log after a rename, a misfiled checkpoint);
    until it is done either one, or both, may be there.
    """
    moved = moved or {}
    problems = []
    for rel, want in truth.items():
        errors = []
        for name in dict.fromkeys((rel, moved.get(rel, rel))):
            try:
                got = fact(host.root / name)
            except OSError as error:
                errors.append(f"{name!r} does not open: {error.strerror}")
                continue
            if got == want:
                break
            errors.append(f"{name!r} differs: {_difference(want, got)}")
        else:
            problems += errors
    return problems


def _difference(want: Fact, got: Fact) -> str:
    return ", ".join(
        f"{key} {str(getattr(want, key))[:60]} became {str(getattr(got, key))[:60]}"
        for key in Fact.__dataclass_fields__
        if getattr(want, key) != getattr(got, key)
    )


def fingerprint(top: Path, *, ctime: bool = False) -> dict[str, tuple[object, ...]]:
    """Everything below ``top`` without following a link, but uuidfs's locks.

    ``ctime`` also tells attempts that were undone; directories' own times are left out else.
    """
    result: dict[str, tuple[object, ...]] = {}
    for path in _walk(top):
        rel = os.path.relpath(path, top)
        if rel == "run/uuidfs" or rel.startswith("run/uuidfs/"):
            continue
        found = path.lstat()
        extra: object = None
        if stat.S_ISLNK(found.st_mode):
            extra = os.readlink(path)
        elif stat.S_ISREG(found.st_mode):
            extra = (_start(path), found.st_mtime_ns, found.st_size, found.st_nlink)
        result[rel] = (
            found.st_mode,
            found.st_ino,
            found.st_uid,
            found.st_gid,
            extra,
            found.st_ctime_ns if ctime else None,
        )
    return result


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1 << 16)  # enough for all but the huge planted files


def _walk(top: Path) -> Iterator[Path]:
    for entry in sorted(os.listdir(top)):
        path = top / entry
        yield path
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path)


def changes(before: Mapping[str, object], after: Mapping[str, object]) -> list[str]:
    """How two fingerprints differ."""
    return [
        f"{rel!r}: {before.get(rel)} became {after.get(rel)}"
        for rel in sorted({*before, *after})
        if before.get(rel) != after.get(rel)
    ]


# -- a tree at rest ----------------------------------------------------------------------------


def broken_promises(
    host: Host,
    truth: Mapping[str, Fact],
    bindings: Mapping[str, str],
    *,
    converted: bool = True,
    moved: Mapping[str, str] | None = None,
) -> list[str]:
    """All that is wrong with a tree on which uuidfs has finished its work.

    ``bindings`` (name -> UUID) tells whose names have to be links, to what; with
    ``converted`` false there has to be no link, no second name and no store.
    """
    moved = moved or {}
    after = {moved.get(rel, rel): want for rel, want in truth.items()}
    problems = lost(host, after)
    there = set(name_paths(host))
    problems += [f"{rel!r} is new beside libvirt's files" for rel in sorted(there - set(after))]
    used: dict[tuple[int, int], str] = {}
    for rel in sorted(there & set(after)):
        want = _expected_link(rel, bindings) if converted else None
        problems += _judge_name(host, rel, want)
        if not (host.root / rel).exists():
            continue  # told by lost() already
        if want is not None or not (host.root / rel).is_symlink():
            found = (host.root / rel).stat()
            key = (found.st_dev, found.st_ino)
            if key in used:
                problems.append(f"{rel!r} and {used[key]!r} are one file")
            used[key] = rel
            if found.st_nlink != 1:
                problems.append(f"{rel!r} has {found.st_nlink} hard links")
    return problems + (_judge_stores(host, set(used)) if converted else _judge_no_stores(host))


def unconverted(host: Host, bindings: Mapping[str, str]) -> set[str]:
    """Names of domains that have a regular file where a link belongs."""
    return {
        name
        for rel in name_paths(host)
        if _expected_link(rel, bindings) is not None
        and not (host.root / rel).is_symlink()
        and (name := _owner(rel)[1]) in bindings
    }


def _owner(rel: str) -> tuple[str, str, str]:
    """Kind, domain's name and rest of the file's name, from a name path."""
    parts = rel.split("/")
    if rel.startswith("etc/libvirt/qemu/") and len(parts) == 4 and rel.endswith(".xml"):
        return "config", parts[3][:-4], ""
    match = _LOG.fullmatch(parts[-1])
    if rel.startswith("var/log/") and match is not None:
        return "log", match[1], match[2]
    if rel.startswith("var/lib/libvirt/qemu/") and parts[4] in {"snapshot", "checkpoint"}:
        return parts[4], parts[5], parts[6]
    return "other", "", ""


def _expected_link(rel: str, bindings: Mapping[str, str]) -> str | None:
    kind, name, rest = _owner(rel)
    if kind == "other" or name not in bindings:
        return None
    uuid = bindings[name]
    return {
        "config": f"by-uuid/{uuid}.xml",
        "log": f"by-uuid/{uuid}{rest}",
    }.get(kind, f"../../../by-uuid/{kind}/{uuid}/{rest}")


def _judge_name(host: Host, rel: str, want: str | None) -> list[str]:
    path = host.root / rel
    text = os.readlink(path) if path.is_symlink() else None
    if text == want or (want is None and "/autostart/" in rel):
        return []
    return [f"{rel!r} links to {text!r}, not to {want!r}"]


def _judge_stores(host: Host, used: set[tuple[int, int]]) -> list[str]:
    """Only files that a name refers to, each under one UUID name, and nothing temporary."""
    problems = []
    for kind in ("config", "log", "snapshot", "checkpoint"):
        store = host.store(kind)
        for path in _walk(store) if store.is_dir() else ():
            rel = os.path.relpath(path, store)
            if rel.split("/")[0] == "trash" or (rel == "by-uuid" and not any(path.iterdir())):
                continue
            found = path.lstat()
            where = os.path.relpath(path, host.root)
            if stat.S_ISDIR(found.st_mode):
                if kind in _STORE_ENTRY or not re.fullmatch(_UUID, rel):
                    problems.append(f"{where!r} is a foreign directory")
                elif not any(path.iterdir()):
                    problems.append(f"{where!r} is empty")
            elif path.name == "~directory" and kind not in _STORE_ENTRY:
                if not path.is_symlink() or not os.readlink(path).isdigit():
                    problems.append(f"{where!r} notes no inode")
            elif not stat.S_ISREG(found.st_mode):
                problems.append(f"{where!r} is left over: not a regular file")
            elif kind in _STORE_ENTRY and not _STORE_ENTRY[kind].fullmatch(rel):
                problems.append(f"{where!r} is left over: not named by UUID")
            elif (found.st_dev, found.st_ino) not in used:
                problems.append(f"{where!r} is in the store and under no name")
    return problems


def _judge_no_stores(host: Host) -> list[str]:
    return [
        f"{kind}: the store is still there: {sorted(map(str, host.store(kind).rglob('*')))}"
        for kind in ("config", "log", "snapshot", "checkpoint")
        if host.store(kind).exists()
    ]


def trashed(host: Host) -> list[Path]:
    """All files in uuidfs's trash."""
    return [
        path
        for kind in ("config", "log", "snapshot", "checkpoint")
        for path in host.store(kind).glob("trash/*/*")
    ]
