"""A closer view of single domains: what lies at each of their names and in the store."""

from collections.abc import Iterator

from uuidfs.errors import Changed
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import (
    KEEP_TEMP,
    LINK_TEMP,
    MOVED_MARK,
    config_target,
    log_base,
    log_entry,
    log_target,
    split_log,
)
from uuidfs.layout.places import STORE, Kind
from uuidfs.runtime import aside
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Reader
from uuidfs.survey.metadata import view_metadata
from uuidfs.survey.scan import Scan
from uuidfs.survey.view import Leftover, LogName, Once, Pair, View


class _Logs:
    """The logs of one UUID; the attributes are fields of a View."""

    def __init__(self) -> None:
        self.mine: list[LogName] = []
        self.away: list[LogName] = []
        self.taken: list[LogName] = []
        self.store: list[tuple[str, Entry]] = []


class Surveyor:
    """Looks at the domains of one layout."""

    def __init__(self, dirs: TrustedDirs, reader: Reader, cpus: int = 1) -> None:
        self.dirs = dirs
        self.layout = dirs.layout
        self.documents = Documents(dirs, reader, cpus)

    def view(self, scan: Scan, uuid: str) -> View:
        """Look closely at one UUID, anew on the disk: what the scan says is only where to look.

        Raises SystemCallFailed or Refused when that cannot be done, Changed when libvirt
        renamed or undefined the domain since the scan.
        """
        # While this run waited for the lock, its holder may have made the stores or removed them.
        self.dirs.look_again()
        names = tuple(scan.names_of.get(uuid, ()))
        name = names[0] if len(names) == 1 else None
        # Of rival names, the one with the link is the one whose files are in the store.
        linked = [n for n in names if scan.configs.get(f"{n}.xml") is not None]
        focus = name or (linked[0] if linked else None)
        config = self._config(scan, uuid, focus)
        logs = self._logs(scan, uuid, focus)
        metadata = {
            kind: view_metadata(self.documents, scan, kind, uuid, focus)
            for kind in scan.meta_names
            if not scan.leaves_out(kind)
        }
        found = metadata.values()
        leftovers = self._leftovers(scan, uuid)
        leftovers += [left for kind in found for left in kind.leftovers]
        view = View(
            uuid,
            name,
            scan.source_of[name] if name is not None else None,
            rivals=names if len(names) > 1 else (),
            linked=tuple(linked),
            config=config,
            logs=tuple(logs.mine),
            log_store=tuple(logs.store),
            away=tuple(logs.away),
            taken=tuple(logs.taken),
            moved=self._mark(scan, uuid),
            metadata=tuple(pair for kind in found for pair in kind.pairs),
            misfiled=tuple(pair for kind in found for pair in kind.misfiled),
            strays=tuple(pair for kind in found for pair in kind.strays),
            store_dirs=tuple(kind for kind, view in metadata.items() if view.exists),
            leftovers=tuple(leftovers),
            problems=tuple(problem for kind in found for problem in kind.problems),
            complete=not scan.incomplete,
            logs_known=not scan.unread_logs,
            orphan_safe=self._is_orphan_safe(scan, name, config),
            proven=frozenset(kind for kind, view in metadata.items() if view.is_proven),
            unrecorded=tuple(
                (kind, view.inode)
                for kind, view in metadata.items()
                if view.is_own and view.inode is not None and not view.is_recorded
            ),
            homes=frozenset(view.home for view in found if view.home is not None),
            once=self._once(scan, uuid, names),
            set_aside=aside.is_kept(self.layout, uuid),
        )
        return view._replace(leftovers=_with_twins(view))

    def _once(self, scan: Scan, uuid: str, names: tuple[str, ...]) -> Once | None:
        if scan.once is None or len(names) > 1:
            return None
        from uuidfs.survey.once import view_once  # rare, and the hook has no time

        return view_once(self.dirs, scan, uuid, names[0] if names else None)

    def _is_orphan_safe(self, scan: Scan, name: str | None, config: Pair | None) -> bool:
        """Whether a UUID without a name has none for sure.

        From libvirt 11 on QEMU's user can take the status XML away, which alone says that a
        transient domain is there. A config in the store tells that the domain was persistent.
        """
        if scan.incomplete:
            return False
        was_persistent = config is not None and config.in_store is not None
        return name is not None or was_persistent or not scan.status_is_open

    def _config(self, scan: Scan, uuid: str, name: str | None) -> Pair | None:
        names = self.dirs.names(Kind.CONFIG) if not scan.leaves_out(Kind.CONFIG) else None
        if names is None:
            return None
        store = self.dirs.store(Kind.CONFIG)
        store_entry = f"{uuid}.xml"
        in_store = store.look(store_entry) if store is not None else None
        entry = f"{name}.xml" if name is not None else ""
        at_name = names.look(entry) if entry else None
        if (
            name is not None
            and scan.source_of[name] == "config"
            and (
                at_name is None
                or (at_name.text is not None and config_target(at_name.text) != uuid)
            )
        ):
            # libvirt renamed or undefined the domain since the scan: what the scan says of
            # this UUID is out of date, and acting on it could trash what is still in use.
            raise Changed(names.at(entry))
        if at_name is None and in_store is None:
            return None
        why_not = None
        if at_name is not None and at_name.is_file:
            identity = self.documents.identify(names, entry, at_name)
            if isinstance(identity, str):
                why_not = identity
            elif (identity.name, identity.uuid) != (name, uuid):
                why_not = f"it now describes {identity.name!r}, UUID {identity.uuid}"
        pair = Pair(Kind.CONFIG, "", entry, at_name, store_entry, in_store, why_not)
        return self.documents.with_trashed(uuid, pair)

    def _logs(self, scan: Scan, uuid: str, name: str | None) -> _Logs:
        logs = _Logs()
        names = self.dirs.names(Kind.LOG) if not scan.leaves_out(Kind.LOG) else None
        if names is None:
            return logs

        def is_anothers(suffix: str) -> bool:
            """The name that a helper's log would have is that of another domain's own log."""
            tag = log_base(suffix)[1:-1]
            return bool(tag) and name is not None and f"{name}-{tag}" in scan.uuid_of

        named = sorted(scan.logs_of_name.get(name or "", ()))
        for suffix, entry in named:
            at_name = names.look(entry)
            _expect_unmoved(scan, uuid, names.at(entry), entry, at_name)
            if at_name is None:
                continue
            target = log_target(at_name.text) if at_name.text is not None else None
            is_taken = target is not None and target[0] != uuid
            (logs.taken if is_taken else logs.mine).append(LogName(entry, suffix, at_name))
        # By name, not by what was found: mid-rotation a name can be missing for a moment.
        own = {entry for _, entry in named}
        for entry in sorted(scan.logs_of_uuid.get(uuid, ())):
            at_name = names.look(entry)
            _expect_unmoved(scan, uuid, names.at(entry), entry, at_name)
            if at_name is None or at_name.text is None or entry in own:
                continue
            target = log_target(at_name.text)
            if target is not None and target[0] == uuid and not is_anothers(target[1]):
                logs.away.append(LogName(entry, target[1], at_name))
        store = self.dirs.store(Kind.LOG)
        if store is not None:
            for suffix in sorted(scan.log_store.get(uuid, ())):
                kept = store.look(log_entry(uuid, suffix))
                if kept is not None and not is_anothers(suffix):
                    logs.store.append((suffix, kept))
        targets = {log.at_name.text for log in (*logs.mine, *logs.away)}
        texts = {
            self.layout.link_text(Kind.LOG, uuid, log_entry(uuid, suffix))
            for suffix, _ in logs.store
        }
        if name is not None and not texts <= targets:
            _expect_listed(scan, name, names)
        return logs

    def _mark(self, scan: Scan, uuid: str) -> Entry | None:
        # Not from the scan: another domain's plan may have made it since.
        store = self.dirs.store(Kind.LOG) if not scan.leaves_out(Kind.LOG) else None
        return store.look(uuid + MOVED_MARK) if store is not None else None

    def _leftovers(self, scan: Scan, uuid: str) -> list[Leftover]:
        """Of configs and logs. Not from the scan: who held the lock before may have been killed,
        and left the only name of libvirt's newest version."""
        result = []
        for kind in (Kind.CONFIG, Kind.LOG):
            store = self.dirs.store(kind) if not scan.leaves_out(kind) else None
            if store is None:
                continue
            for entry in (uuid + KEEP_TEMP, uuid + LINK_TEMP):
                if (found := store.look(entry)) is not None:
                    result.append(Leftover(kind, False, entry, found))
            room = store.child(STORE)
            if room is not None:
                with room:
                    result += _waiting(kind, uuid, room)
        return result


def _expect_unmoved(scan: Scan, uuid: str, path: str, entry: str, at_name: Entry | None) -> None:
    """Raise Changed where a link to a UUID's log has left its name since the scan.

    virtlogd has renamed it, maybe to a name that the scan does not have. The log would seem to have
    no name any more, and go to the trash as one that fell off the end.
    """
    seen, now = scan.logs[entry], at_name.text if at_name is not None else None
    target = log_target(seen) if seen is not None else None
    if target is not None and target[0] == uuid and now != seen:
        raise Changed(path)


def _expect_listed(scan: Scan, name: str, names: Directory) -> None:
    """Raise Changed where a domain has a log that the scan has not seen: a listing that runs while
    virtlogd rotates can miss it, and its file in the store would seem to have no name."""
    for entry in names.list():
        if entry.startswith(f"{name}.log") and entry not in scan.logs:
            parts = split_log(entry)
            if parts is not None and parts[0] == name:
                raise Changed(names.at(entry))


def _waiting(kind: Kind, uuid: str, room: Directory) -> Iterator[Leftover]:
    for entry in sorted(room.list()):
        if entry.startswith(uuid) and (found := room.look(entry)) is not None:
            yield Leftover(kind, True, entry, found)


def _with_twins(view: View) -> tuple[Leftover, ...]:
    """Mark the leftovers whose inode has a proper name as well, of whatever kind: a checkpoint
    that libvirt misfiled lies in the snapshots' directory while it is being moved."""
    if not view.leftovers:
        return ()
    config = (view.config,) if view.config is not None else ()
    pairs = (*config, *view.metadata, *view.misfiled)
    known = [entry for pair in pairs for entry in (pair.at_name, pair.in_store)]
    known += [log.at_name for log in view.logs]
    known += [kept for _, kept in view.log_store]
    return tuple(
        left._replace(twin=any(left.found.same_inode(entry) for entry in known))
        for left in view.leftovers
    )
