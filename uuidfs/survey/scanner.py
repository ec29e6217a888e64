"""Makes a Scan: lists the whole tree, and reads no more than it needs."""

import os

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import listed, opened, opened_below
from uuidfs.files.entry import link_text, look
from uuidfs.layout.names import (
    KEEP_TEMP,
    LINK_TEMP,
    MOVED_MARK,
    config_target,
    is_uuid,
    log_target,
    refusal,
    split_log,
)
from uuidfs.layout.places import STORE, TRASH, Kind
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Identity
from uuidfs.survey.scan import Problem, Scan


def scan_all(documents: Documents) -> Scan:
    """Scan everything. A kind that cannot be handled is a problem, not an exception.

    Raises SystemCallFailed when not even the configs can be listed.
    """
    documents.dirs.look_again()  # a second scan is to find what came since the first
    return _Scanner(documents).scan()


def scan_domain(documents: Documents, name: str, uuid: str) -> Scan:
    """Scan for one domain whose name and UUID libvirt itself just said: what the hook needs.

    Lists, but reads only what is called after the domain. Sets ``incomplete``: nothing counts as
    unreferenced by what was not looked at. Raises as scan_all.
    """
    return _Scanner(documents).scan_domain(name, uuid)


class _Scanner:
    def __init__(self, documents: Documents) -> None:
        self.documents = documents
        self.dirs = documents.dirs
        self.layout = documents.layout

    def scan(self) -> Scan:
        result = Scan(self.layout)
        names = self.dirs.names(Kind.CONFIG)
        if names is not None:
            self._scan_configs(result, names)
        self._scan_status(result)
        for kind, scan_kind in (
            (Kind.CONFIG, self._scan_config_store),
            (Kind.LOG, self._scan_logs),
            (Kind.SNAPSHOT, self._scan_metadata),
            (Kind.CHECKPOINT, self._scan_metadata),
        ):
            try:
                scan_kind(result, kind)
            except UuidfsError as error:
                path = getattr(error, "path", self.layout.names[kind].path)
                result.problems.append(Problem(path, getattr(error, "reason", str(error))))
                result.broken.add(kind)
                result.incomplete = True
        return result

    def scan_domain(self, name: str, uuid: str) -> Scan:
        result = Scan(self.layout, incomplete=True)
        result.bind(name, uuid, "hook")
        config = f"{name}.xml"
        names, store = self.dirs.names(Kind.CONFIG), self.dirs.store(Kind.CONFIG)
        if names is not None:
            result.configs[config] = link_text(names, config)
        if store is not None and os.path.lexists(f"/proc/self/fd/{store}/{uuid}.xml"):
            result.config_store.add(f"{uuid}.xml")
            if names is not None and result.configs[config] is None:
                self._note_rivals(result, names, name, uuid)
        names, store = self.dirs.names(Kind.LOG), self.dirs.store(Kind.LOG)
        if names is not None:
            for entry in listed(names, self.layout.names[Kind.LOG].path):
                if entry.startswith(f"{name}.log"):
                    self._add_log(result, entry, names)
        if store is not None:
            for entry in listed(store, self.layout.stores[Kind.LOG].path):
                if entry.startswith(f"{uuid}.log"):
                    result.log_store.setdefault(uuid, []).append(entry[40:])
                elif entry == uuid + MOVED_MARK:
                    result.moved.add(uuid)
        for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
            result.meta_names[kind] = {name}
            result.meta_store[kind] = {uuid}
        return result

    def _note_rivals(self, result: Scan, names: int, name: str, uuid: str) -> None:
        """The store has a config of this UUID and the name a newer one: where another name
        still links to it, a rename was cut in half, and only the log is safe to handle."""
        text = f"{STORE}/{uuid}.xml"
        for entry in listed(names, self.layout.names[Kind.CONFIG].path):
            if entry != f"{name}.xml" and link_text(names, entry) == text:
                result.broken |= {Kind.CONFIG, Kind.SNAPSHOT, Kind.CHECKPOINT}
                return

    def _scan_configs(self, result: Scan, fd: int) -> None:
        base = self.layout.names[Kind.CONFIG].path
        # libvirt ignores what does not end in .xml too.
        texts = {e: link_text(fd, e) for e in sorted(listed(fd, base)) if e.endswith(".xml")}
        self.documents.read_ahead(fd, [e for e, text in texts.items() if text is None], base)
        for entry, text in texts.items():
            name = entry[:-4]
            path = f"{base}/{entry}"
            if (why := refusal(name)) is not None:
                result.problems.append(Problem(path, why, name))
                result.incomplete = True
                continue
            if text is not None and (uuid := config_target(text)) is not None:
                result.configs[entry] = text
                result.bind(name, uuid, "config")
                continue
            result.configs[entry] = None
            if text is not None:
                result.problems.append(
                    Problem(path, "it is a symlink that uuidfs did not make", name)
                )
                result.incomplete = True
                continue
            identity = self.documents.identify(fd, entry, path)
            if isinstance(identity, str):
                result.problems.append(Problem(path, identity, name))
                result.incomplete = True
            elif identity.root != "domain":
                result.problems.append(
                    Problem(path, f"it is a <{identity.root}>, not a domain's config", name)
                )
                result.incomplete = True
            elif identity.name != name:
                result.problems.append(
                    Problem(
                        path,
                        f"it describes the domain {identity.name!r}, "
                        "which libvirt keeps under that name",
                        name,
                    )
                )
                result.incomplete = True
            else:
                result.bind(name, identity.uuid or "", "config")

    def _scan_status(self, result: Scan) -> None:
        """Transient domains have no config; what they are called is in the status XML."""
        place = self.layout.status
        try:
            fd = opened(place)
            if fd is None:
                return
            try:
                for entry in sorted(listed(fd, place.path)):
                    name = entry[:-4]
                    if not entry.endswith(".xml") or name in result.uuid_of:
                        continue
                    found = look(fd, entry)
                    if found is not None and found.uid not in self.dirs.trusted:
                        # From libvirt 11 on this directory belongs to QEMU's user, who
                        # could name domains as they like; the daemon's files are root's.
                        result.incomplete = True
                        continue
                    identity = self.documents.identify(fd, entry, f"{place.path}/{entry}", found)
                    if isinstance(identity, Identity) and identity.root == "domstatus":
                        if identity.name == name and refusal(name) is None:
                            result.bind(name, identity.uuid or "", "status")
                    else:
                        result.incomplete = True
            finally:
                os.close(fd)
        except UuidfsError as error:
            result.problems.append(Problem(place.path, str(error)))
            result.incomplete = True

    def _scan_config_store(self, result: Scan, kind: Kind) -> None:
        fd = self.dirs.store(kind)
        if fd is None:
            return
        base = self.layout.stores[kind].path
        for entry in listed(fd, base):
            uuid, rest = entry[:36], entry[36:]
            if is_uuid(uuid) and rest == ".xml":
                result.config_store.add(entry)
            else:
                self._scan_odd(result, kind, fd, entry)

    def _scan_logs(self, result: Scan, kind: Kind) -> None:
        names = self.dirs.names(kind)
        if names is None:
            return
        for entry in listed(names, self.layout.names[kind].path):
            self._add_log(result, entry, names)
        fd = self.dirs.store(kind)
        if fd is None:
            return
        for entry in listed(fd, self.layout.stores[kind].path):
            parts = split_log(entry)
            if parts is not None and is_uuid(parts[0]):
                result.log_store.setdefault(parts[0], []).append(parts[1])
            else:
                self._scan_odd(result, kind, fd, entry)

    def _add_log(self, result: Scan, entry: str, names: int) -> None:
        parts = split_log(entry)
        if parts is None:
            return
        text = link_text(names, entry)
        result.logs[entry] = text
        result.logs_of_name.setdefault(parts[0], []).append((parts[1], entry))
        if text is not None and (target := log_target(text)) is not None:
            result.logs_of_uuid.setdefault(target[0], []).append(entry)

    def _scan_odd(self, result: Scan, kind: Kind, fd: int, entry: str) -> None:
        """An entry of a config or log store that is not UUID.xml or UUID.log*."""
        base = self.layout.stores[kind].path
        uuid = entry[:36]
        if entry == TRASH:
            return
        if is_uuid(uuid) and entry[36:] == MOVED_MARK:
            result.moved.add(uuid)
        elif is_uuid(uuid) and entry[36:] in {LINK_TEMP, KEEP_TEMP}:
            result.leftovers.setdefault(uuid, []).append((kind, False, entry))
        elif entry == STORE:
            room = opened_below(fd, entry, f"{base}/{entry}")
            if room is not None:
                try:
                    for waiting in listed(room, f"{base}/{entry}"):
                        if is_uuid(waiting[:36]):
                            result.leftovers.setdefault(waiting[:36], []).append(
                                (kind, True, waiting)
                            )
                        else:
                            result.strangers.append(f"{base}/{entry}/{waiting}")
                finally:
                    os.close(room)
        else:
            result.strangers.append(f"{base}/{entry}")

    def _scan_metadata(self, result: Scan, kind: Kind) -> None:
        result.meta_names[kind] = set()
        result.meta_store[kind] = set()
        names = self.dirs.names(kind)
        if names is not None:
            for name in sorted(listed(names, self.layout.names[kind].path)):
                result.meta_names[kind].add(name)
                if name not in result.uuid_of:
                    self._note_references(result, kind, names, name)
        fd = self.dirs.store(kind)
        if fd is None:
            return
        for entry in listed(fd, self.layout.stores[kind].path):
            if is_uuid(entry):
                result.meta_store[kind].add(entry)
            elif entry != TRASH:
                result.strangers.append(f"{self.layout.stores[kind].path}/{entry}")

    def _note_references(self, result: Scan, kind: Kind, names: int, name: str) -> None:
        """A directory of no domain we know may still refer to a UUID's files: keep those."""
        path = f"{self.layout.names[kind].path}/{name}"
        try:
            fd = opened_below(names, name, path)
            if fd is None:
                return
            try:
                for entry in listed(fd, path):
                    parts = (link_text(fd, entry) or "").split("/")
                    if len(parts) > 1 and is_uuid(parts[-2]):
                        result.strays.setdefault(parts[-2], {})[kind, name] = None
            finally:
                os.close(fd)
        except UuidfsError:
            return  # not a directory: nothing in it refers to anything
