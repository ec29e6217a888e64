"""A closer view of single domains: what lies at each of their names and in the store.

Nothing here changes anything.
"""

import os
from collections.abc import Iterable

from uuidfs.errors import Changed
from uuidfs.files.directory import listed, opened_below
from uuidfs.files.entry import Entry, look
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import KEEP_TEMP, LINK_TEMP, MOVED_MARK, config_target, log_target
from uuidfs.layout.places import STORE, Kind
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Reader
from uuidfs.survey.scan import Problem, Scan
from uuidfs.survey.view import Leftover, LogName, Pair, View

MISFILED = "misfiled"


class Surveyor:
    """Looks at the domains of one layout."""

    def __init__(self, dirs: TrustedDirs, reader: Reader, cpus: int = 1) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self.documents = Documents(dirs, reader, cpus)

    def view(self, scan: Scan, uuid: str) -> View:
        """Look closely at one UUID, anew on the disk: what the scan says is only where to look.

        Raises SystemCallFailed or Refused when that cannot be done.
        """
        # While this run waited for the lock, its holder may have made the stores or removed them.
        self.dirs.look_again()
        names = tuple(scan.names_of.get(uuid, ()))
        name = names[0] if len(names) == 1 else None
        # Of rival names, the one with the link is the one whose files are in the store.
        linked = [n for n in names if scan.configs.get(f"{n}.xml") is not None]
        focus = name or (linked[0] if linked else None)
        problems: list[Problem] = []
        config = self._view_config(
            uuid, focus, scan.source_of[focus] if focus else None, scan.broken
        )
        logs, away, taken, store = self._view_logs(scan, uuid, focus)
        pairs: list[Pair] = []
        misfiled: list[Pair] = []
        strays: list[Pair] = []
        store_dirs: list[Kind] = []
        leftovers = self._view_leftovers(scan, uuid, config, logs, store)
        for kind in scan.meta_names:
            if kind in scan.broken:
                continue
            apart = [other for k, other in scan.strays.get(uuid, ()) if k is kind]
            subdir = focus or (apart[0] if apart else "")
            here, wrong = self._view_names(kind, uuid, subdir, problems)
            kept, temps, exists = self._view_store(kind, uuid)
            misfiled += wrong
            known = [pair.at_name for pair in (*here, *misfiled)] + list(kept.values())
            leftovers += _with_twins(temps, known)
            pairs += _joined(kind, subdir, here, kept)
            if not names or (name is not None and not scan.incomplete):
                strays += [
                    pair
                    for other in apart
                    if other != subdir
                    for pair in self._view_strays(kind, uuid, other, kept)
                ]
            if exists:
                store_dirs.append(kind)
        return View(
            uuid,
            name,
            scan.source_of[name] if name is not None else None,
            rivals=names if len(names) > 1 else (),
            linked=tuple(linked),
            config=config,
            logs=logs,
            log_store=store,
            away=away,
            taken=taken,
            moved=self._view_mark(uuid, scan.broken),
            metadata=tuple(pairs),
            misfiled=tuple(misfiled),
            strays=tuple(strays),
            store_dirs=tuple(store_dirs),
            leftovers=tuple(leftovers),
            problems=tuple(problems),
            orphan_safe=not scan.incomplete,
        )

    def _view_config(
        self, uuid: str, name: str | None, source: str | None, broken: set[Kind]
    ) -> Pair | None:
        names = self.dirs.names(Kind.CONFIG) if Kind.CONFIG not in broken else None
        if names is None:
            return None
        store = self.dirs.store(Kind.CONFIG)
        store_entry = f"{uuid}.xml"
        in_store = look(store, store_entry) if store is not None else None
        entry = f"{name}.xml" if name is not None else ""
        at_name = look(names, entry) if entry else None
        if source == "config" and (
            at_name is None or (at_name.text is not None and config_target(at_name.text) != uuid)
        ):
            # libvirt renamed or undefined the domain since the scan: what the scan says of
            # this UUID is out of date, and acting on it could trash what is still in use.
            raise Changed(f"{self.layout.names[Kind.CONFIG].path}/{entry}")
        if at_name is None and in_store is None:
            return None
        why_not = None
        if at_name is not None and at_name.is_file:
            path = f"{self.layout.names[Kind.CONFIG].path}/{entry}"
            identity = self.documents.identify(names, entry, path, at_name)
            if isinstance(identity, str):
                why_not = identity
            elif (identity.name, identity.uuid) != (name, uuid):
                why_not = f"it now describes {identity.name!r}, UUID {identity.uuid}"
        return Pair(Kind.CONFIG, "", entry, at_name, store_entry, in_store, why_not)

    def _view_logs(
        self, scan: Scan, uuid: str, name: str | None
    ) -> tuple[
        tuple[LogName, ...],
        tuple[LogName, ...],
        tuple[LogName, ...],
        tuple[tuple[str, Entry], ...],
    ]:
        names = self.dirs.names(Kind.LOG) if Kind.LOG not in scan.broken else None
        store = self.dirs.store(Kind.LOG) if names is not None else None
        if names is None:
            return (), (), (), ()
        mine: list[LogName] = []
        away: list[LogName] = []
        taken: list[LogName] = []
        for suffix, entry in sorted(scan.logs_of_name.get(name or "", ())):
            at_name = look(names, entry)
            if at_name is None:
                continue
            target = log_target(at_name.text) if at_name.text is not None else None
            if target is not None and target[0] != uuid:
                taken.append(LogName(entry, suffix, at_name))
            else:
                mine.append(LogName(entry, suffix, at_name))
        # By name, not by what was found: mid-rotation a name can be missing for a moment.
        own = {entry for _, entry in scan.logs_of_name.get(name or "", ())}
        for entry in sorted(scan.logs_of_uuid.get(uuid, ())):
            at_name = look(names, entry)
            if at_name is None or at_name.text is None or entry in own:
                continue
            target = log_target(at_name.text)
            if target is not None and target[0] == uuid:
                away.append(LogName(entry, target[1], at_name))
        found: list[tuple[str, Entry]] = []
        if store is not None:
            for suffix in sorted(scan.log_store.get(uuid, ())):
                kept = look(store, f"{uuid}.log{suffix}")
                if kept is not None:
                    found.append((suffix, kept))
        return tuple(mine), tuple(away), tuple(taken), tuple(found)

    def _view_mark(self, uuid: str, broken: set[Kind]) -> Entry | None:
        # Not from the scan: another domain's plan may have made it since.
        store = self.dirs.store(Kind.LOG) if Kind.LOG not in broken else None
        return look(store, uuid + MOVED_MARK) if store is not None else None

    def _view_leftovers(
        self,
        scan: Scan,
        uuid: str,
        config: Pair | None,
        logs: Iterable[LogName],
        store: Iterable[tuple[str, Entry]],
    ) -> list[Leftover]:
        known = [config.at_name, config.in_store] if config is not None else []
        known += [log.at_name for log in logs]
        known += [kept for _, kept in store]
        result = []
        for kind, room, entry in sorted(scan.leftovers.get(uuid, ()), key=str):
            fd = self.dirs.store(kind)
            if fd is None:
                continue
            if room:
                inner = opened_below(fd, STORE, f"{self.layout.stores[kind].path}/{STORE}")
                if inner is None:
                    continue
                try:
                    found = look(inner, entry)
                finally:
                    os.close(inner)
            else:
                found = look(fd, entry)
            if found is not None:
                result.append(Leftover(kind, room, entry, found))
        return _with_twins(result, known)

    def _view_names(
        self, kind: Kind, uuid: str, subdir: str, problems: list[Problem]
    ) -> tuple[list[Pair], list[Pair]]:
        """What lies in libvirt's directory of one domain: pairs without a store side yet,
        and checkpoints that libvirt misfiled there."""
        pairs: list[Pair] = []
        misfiled: list[Pair] = []
        parent = self.dirs.names(kind)
        if parent is None or not subdir:
            return pairs, misfiled
        path = f"{self.layout.names[kind].path}/{subdir}"
        fd = opened_below(parent, subdir, path)
        if fd is None:
            return pairs, misfiled
        try:
            owner = os.fstat(fd).st_uid
            if owner not in self.dirs.trusted:
                reason = f"this directory belongs to uid {owner}: libvirt did not make it"
                problems.append(Problem(path, reason, subdir))
                return pairs, misfiled
            for entry in sorted(listed(fd, path)):
                found = look(fd, entry)
                if found is None or entry.endswith(".xml.new"):
                    continue  # libvirt is writing it: it renames that over the name next
                verdict = self._judge_metadata(kind, uuid, fd, entry, path, found)
                if verdict == MISFILED:
                    misfiled.append(Pair(kind, subdir, entry, found, entry, None))
                else:
                    pairs.append(Pair(kind, subdir, entry, found, entry, None, verdict))
        finally:
            os.close(fd)
        return pairs, misfiled

    def _view_strays(
        self, kind: Kind, uuid: str, subdir: str, kept: dict[str, Entry]
    ) -> list[Pair]:
        """Links to this UUID's metadata in a directory whose name no domain has: what is left
        of a rename that was killed while it removed the old name's files, or all that is left
        when somebody moved the directory."""
        pairs, _ = self._view_names(kind, uuid, subdir, [])
        ours = (p for p in pairs if p.at_name is not None and p.at_name.text is not None)
        return [p._replace(in_store=kept.get(p.entry)) for p in ours if p.why_not is None]

    def _view_store(self, kind: Kind, uuid: str) -> tuple[dict[str, Entry], list[Leftover], bool]:
        """What lies in our directory of one UUID, what a kill left there, and if it exists."""
        kept: dict[str, Entry] = {}
        temps: list[Leftover] = []
        parent = self.dirs.store(kind)
        place = self.layout.store_place(kind, uuid)
        fd = opened_below(parent, uuid, place.path) if parent is not None else None
        if fd is None:
            return kept, temps, False
        try:
            self.dirs.check_store(fd, place)
            for entry in sorted(listed(fd, place.path)):
                found = look(fd, entry)
                if found is not None and entry in {LINK_TEMP, KEEP_TEMP}:
                    temps.append(Leftover(kind, False, entry, found))
                elif found is not None:
                    kept[entry] = found
        finally:
            os.close(fd)
        return kept, temps, True

    def _judge_metadata(
        self, kind: Kind, uuid: str, fd: int, entry: str, path: str, found: Entry
    ) -> str | None:
        """None when a metadata file is what it should be, MISFILED, or why it is left alone."""
        if found.text is not None:
            if found.text == self.layout.link_text(kind, uuid, entry):
                return None
            return "it is a symlink that uuidfs did not make for this domain"
        if not found.is_file:
            return f"it is {found.noun}, not a regular file"
        if found.uid not in self.dirs.trusted:
            return f"it belongs to uid {found.uid}, so libvirt did not write it"
        if not entry.endswith(".xml"):
            return "its name does not end in .xml, so libvirt did not write it"
        identity = self.documents.identify(fd, entry, f"{path}/{entry}", found)
        if isinstance(identity, str):
            return identity
        if identity.uuid is not None and identity.uuid != uuid:
            return f"it belongs to the domain with UUID {identity.uuid}"
        if identity.root == f"domain{kind.value}":
            return None
        if kind is Kind.SNAPSHOT and identity.root == "domaincheckpoint":
            return MISFILED
        return f"it is a <{identity.root}>"


def _with_twins(temps: list[Leftover], known: Iterable[Entry | None]) -> list[Leftover]:
    """Mark the leftovers whose inode has a proper name as well."""
    others = [entry for entry in known if entry is not None]
    return [
        temp._replace(twin=any(temp.found.same_inode(other) for other in others)) for temp in temps
    ]


def _joined(kind: Kind, subdir: str, here: list[Pair], kept: dict[str, Entry]) -> list[Pair]:
    """Pair what is at the names with what is in the store, in the order of their names."""
    pairs = {pair.entry: pair._replace(in_store=kept.get(pair.entry)) for pair in here}
    for entry, found in kept.items():
        pairs.setdefault(entry, Pair(kind, subdir, entry, None, entry, found))
    return [pairs[entry] for entry in sorted(pairs)]
