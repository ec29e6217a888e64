"""Views and plans in short words, for tables: no file system, no process.

WEB stands for the UUID of the domain that a table is about, DB for another one's. What lies at
a name is one word:

    "first"         a regular file; one word is one inode, so two names may have the same file
    "-> WEB.xml"    uuidfs's link to that file of the store
    "=> elsewhere"  somebody else's link
    "a fifo"        neither, and so for "a directory"

At names, "web.xml" is a config, "web.log.0" a log, "snapshot/web/s1.xml" and
"checkpoint/web/c1.xml" are metadata. In the store they are "WEB.xml", "WEB.log.0",
"snapshot/s1.xml" and "checkpoint/c1.xml". Paths in plans are as short: /etc for
/etc/libvirt/qemu, /log, /snapshot, /checkpoint, and the store is by-uuid.
"""

import stat
from collections.abc import Mapping
from typing import NamedTuple

from tests.support.trees import uuid_for
from uuidfs.files.entry import Entry
from uuidfs.layout.names import split_log
from uuidfs.layout.places import Kind, Layout, Place
from uuidfs.plan.steps import Plan
from uuidfs.survey.view import Leftover, LogName, Pair, View

WEB, DB = uuid_for("web"), uuid_for("db")
LAYOUT = Layout(
    "qemu:///system",
    names={kind: Place("/etc" if kind is Kind.CONFIG else f"/{kind.value}") for kind in Kind},
    stores={
        Kind.CONFIG: Place("/etc/by-uuid"),
        Kind.LOG: Place("/log/by-uuid"),
        Kind.SNAPSHOT: Place("/by-uuid/snapshot"),
        Kind.CHECKPOINT: Place("/by-uuid/checkpoint"),
    },
    status=Place("/run"),
    locks=Place("/lock"),
    live=False,
)
Files = Mapping[str, str]
NOTHING: Files = {}


class Found(NamedTuple):
    """What is there. ``name`` is the domain's, None when nothing binds the UUID to one.

    ``away``, ``taken``, ``strays``, ``misfiled``, ``rivals``, ``linked`` are those of a View:
    files of this domain under names that are not its own, or the other way round.
    """

    names: Files = NOTHING
    store: Files = NOTHING
    name: str | None = "web"
    away: Files = NOTHING
    taken: Files = NOTHING
    strays: Files = NOTHING
    misfiled: Files = NOTHING
    leftovers: Files = NOTHING
    rivals: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    marked: bool = False
    orphan_safe: bool = True
    proven: frozenset[Kind] = frozenset({Kind.SNAPSHOT, Kind.CHECKPOINT})

    def view(self) -> View:
        """The View that the surveyor would make of it."""
        logs = [log for log in (split_log(entry) for entry in self.store) if log is not None]
        return View(
            WEB,
            None if self.rivals else self.name,
            None if self.name is None or self.rivals else "config",
            rivals=self.rivals,
            linked=self.linked,
            config=self._config(),
            logs=_logs(self.names),
            log_store=tuple((s, entry(self.store[f"WEB.log{s}"], Kind.LOG)) for _, s in logs),
            away=_logs(self.away, by_target=True),
            taken=_logs(self.taken),
            moved=entry("mark", Kind.LOG) if self.marked else None,
            metadata=tuple(self._metadata()),
            misfiled=tuple(_pair(path, self.misfiled, NOTHING) for path in self.misfiled),
            strays=tuple(_pair(path, self.strays, self.store) for path in self.strays),
            store_dirs=tuple(
                kind
                for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT)
                if any(path.startswith(f"{kind.value}/") for path in self.store)
            ),
            leftovers=tuple(self._leftovers()),
            complete=self.orphan_safe,
            orphan_safe=self.orphan_safe,
            proven=self.proven,
        )

    def _config(self) -> Pair | None:
        name = self.name or next(iter(self.linked), None)
        at_name, stored = self.names.get(f"{name}.xml"), self.store.get("WEB.xml")
        if at_name is None and stored is None:
            return None
        return Pair(
            Kind.CONFIG,
            "",
            f"{name}.xml" if name is not None else "",
            entry(at_name, Kind.CONFIG) if at_name is not None else None,
            f"{WEB}.xml",
            entry(stored, Kind.CONFIG) if stored is not None else None,
        )

    def _metadata(self) -> list[Pair]:
        pairs = {
            (path.split("/")[0], path.split("/")[-1]): _pair(path, self.names, self.store)
            for path in self.names
            if "/" in path
        }
        for path in self.store:
            if "/" in path:
                kind, name = path.split("/")
                if (kind, name) not in pairs:
                    pairs[kind, name] = _pair(f"{kind}/{self.name or ''}/{name}", {}, self.store)
        return [pairs[key] for key in sorted(pairs, key=lambda k: (k[0] != "snapshot", k[1]))]

    def _leftovers(self) -> list[Leftover]:
        proper = {*self.names.values(), *self.store.values()}
        found = []
        for path, what in self.leftovers.items():
            kind, *waiting, name = path.split("/")
            name = name.replace("WEB", WEB)
            each = entry(what, Kind(kind))
            found.append(Leftover(Kind(kind), bool(waiting), name, each, what in proper))
        return found


def entry(what: str, kind: Kind) -> Entry:
    """What the word says lies there."""
    inode = sum(ord(letter) << (7 * place) for place, letter in enumerate(what))
    if what in {"a fifo", "a directory"}:
        form = stat.S_IFIFO if what == "a fifo" else stat.S_IFDIR
        return Entry(form, 1, inode, 0, 1)
    arrow, _, target = what.partition(" ")
    if arrow == "->":
        uuid = DB if target.startswith("DB") else WEB
        target = target.replace("WEB", WEB).replace("DB", DB)
        return Entry(stat.S_IFLNK, 1, inode, 0, 1, LAYOUT.link_text(kind, uuid, target))
    if arrow == "=>":
        return Entry(stat.S_IFLNK, 1, inode, 0, 1, target)
    return Entry(stat.S_IFREG, 1, inode, 0, 1)


def _logs(files: Files, *, by_target: bool = False) -> tuple[LogName, ...]:
    found = []
    for path, what in files.items():
        if (parts := split_log(path)) is not None:
            suffix = what.partition(".log")[2] if by_target else parts[1]
            found.append(LogName(path, suffix, entry(what, Kind.LOG)))
    return tuple(found)


def _pair(path: str, names: Files, store: Files) -> Pair:
    kind, subdir, name = path.split("/")
    stored = store.get(f"{kind}/{name}")
    return Pair(
        Kind(kind),
        subdir,
        name,
        entry(names[path], Kind(kind)) if path in names else None,
        name,
        entry(stored, Kind(kind)) if stored is not None else None,
    )


def told(plan: Plan) -> list[str]:
    """The lines of a dry run, then what is left alone and why."""
    lines = [step.describe(LAYOUT) for step in plan.steps]
    lines += [f"left alone: {problem.path}: {problem.reason}" for problem in plan.problems]
    return [line.replace(WEB, "WEB").replace(DB, "DB") for line in lines]
