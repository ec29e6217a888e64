"""Makes a Scan: lists the whole tree, and reads no more than it needs."""

from uuidfs.errors import Changed, UuidfsError
from uuidfs.files.directory import Directory, opened
from uuidfs.layout.names import (
    DIRECTORY_MARK,
    KEEP_TEMP,
    LINK_TEMP,
    MOVED_MARK,
    ONCE_MARK,
    config_target,
    is_uuid,
    log_base,
    log_target,
    refusal,
    split_log,
    stored_log,
)
from uuidfs.layout.places import STORE, TRASH, Kind
from uuidfs.survey.documents import Documents
from uuidfs.survey.identity import Identity
from uuidfs.survey.references import References
from uuidfs.survey.scan import Problem, Scan

_TRIES = 8  # looks at a status XML that the daemon replaces again and again


def scan_all(documents: Documents) -> Scan:
    """Scan everything. A kind that cannot be handled is a problem, not an exception.

    Raises SystemCallFailed when this user may not look at all of it (:mod:`uuidfs.survey.rights`).
    """
    from uuidfs.survey.rights import expect_rights  # the hook, which looks at one, is root

    expect_rights(documents.dirs)
    documents.dirs.look_again()  # a second scan is to find what came since the first
    return _Scanner(documents).everything()


def scan_domain(documents: Documents, name: str, uuid: str) -> Scan:
    """Scan for one domain whose name and UUID libvirt itself just said: what the hook needs.

    Lists, but reads only what is called after the domain. Sets ``incomplete``: nothing counts as
    unreferenced by what was not looked at. Raises as scan_all.
    """
    return _Scanner(documents, incomplete=True).one_domain(name, uuid)


class _Scanner:
    """Fills one Scan."""

    def __init__(self, documents: Documents, *, incomplete: bool = False) -> None:
        self.documents = documents
        self.dirs = documents.dirs
        self.layout = documents.layout
        self.scan = Scan(self.layout, incomplete=incomplete)

    def everything(self) -> Scan:
        names = self.dirs.names(Kind.CONFIG)
        if names is not None:
            from uuidfs.survey.once import marked_names  # the hook rarely looks everywhere

            self._configs(names)
            self.scan.once = marked_names(self.dirs, names)
        self._status()
        kinds = (self._config_store, self._logs, self._metadata, self._metadata)
        for kind, scan_kind in zip(Kind, kinds, strict=True):
            try:
                scan_kind(kind)
            except UuidfsError as error:
                path = error.path or self.layout.names[kind].path
                self._problem(path, error.reason)
                self.scan.unreadable.add(kind)
        return self.scan

    def one_domain(self, name: str, uuid: str) -> Scan:
        scan = self.scan
        scan.bind(name, uuid, "hook")
        config = f"{name}.xml"
        names, store = self.dirs.names(Kind.CONFIG), self.dirs.store(Kind.CONFIG)
        if names is not None:
            scan.configs[config] = names.link_text(config)
        if store is not None and store.stat(f"{uuid}.xml") is not None:
            scan.config_store.add(f"{uuid}.xml")
            if names is not None and scan.configs[config] is None:
                scan.rival = self._other_name(names, name, uuid)
        names, store = self.dirs.names(Kind.LOG), self.dirs.store(Kind.LOG)
        if names is not None:
            for entry in names.list():
                if entry.startswith(f"{name}.log"):
                    self._add_log(entry, names)
                elif entry.startswith(f"{name}-"):
                    self._add_helper_link(entry, names, name)
        if store is not None:
            for entry in store.list():
                if entry.startswith(uuid) and (found := stored_log(entry)) is not None:
                    scan.log_store.setdefault(uuid, []).append(found[1])
                elif entry == uuid + MOVED_MARK:
                    scan.moved.add(uuid)
        for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
            scan.meta_names[kind] = {name}
            scan.meta_store[kind] = {uuid}
        return scan

    def _problem(self, path: str, reason: str, name: str | None = None) -> None:
        """Something that may refer to a store's file could not be read."""
        self.scan.problems.append(Problem(path, reason, name))
        self.scan.incomplete = True

    def _other_name(self, names: Directory, name: str, uuid: str) -> str | None:
        """The store has a config of this UUID and the name a newer one: where another name
        still links to it, a rename was cut in half."""
        text = f"{STORE}/{uuid}.xml"
        for entry in names.list():
            if entry != f"{name}.xml" and names.link_text(entry) == text:
                return entry[:-4]
        return None

    def _configs(self, names: Directory) -> None:
        texts: dict[str, str | None] = {}
        for entry in sorted(names.list()):
            if entry.endswith(".xml"):  # libvirt ignores all others too
                try:
                    texts[entry] = names.link_text(entry)
                except UuidfsError as error:
                    self._problem(error.path, error.reason, entry[:-4])
        self.documents.read_ahead(names, [e for e, text in texts.items() if text is None])
        for entry, text in texts.items():
            self._config(names, entry, text)

    def _config(self, names: Directory, entry: str, text: str | None) -> None:
        name = entry[:-4]
        path = names.at(entry)
        if (why := refusal(name)) is not None:
            self._problem(path, why, name)
            return
        if text is not None and (uuid := config_target(text)) is not None:
            self.scan.configs[entry] = text
            self.scan.bind(name, uuid, "config")
            return
        self.scan.configs[entry] = None
        if text is not None:
            self._problem(path, "it is a symlink that uuidfs did not make", name)
            return
        identity = self.documents.identify(names, entry)
        if isinstance(identity, str):
            self._problem(path, identity, name)
        elif identity.root != "domain" or identity.uuid is None:
            self._problem(path, f"it is a <{identity.root}>, not a domain's config", name)
        elif identity.name != name:
            what = f"it describes the domain {identity.name!r}"
            self._problem(path, f"{what}, which libvirt keeps under that name", name)
        else:
            self.scan.bind(name, identity.uuid, "config")

    def _status(self) -> None:
        """Transient domains have no config; what they are called is in the status XML."""
        place = self.layout.status
        try:
            status = opened(place)
            if status is not None:
                with status:
                    self.scan.status_is_open = status.status().st_uid not in self.dirs.trusted
                    for entry in sorted(status.list()):
                        name = entry[:-4]
                        if entry.endswith(".xml") and name not in self.scan.uuid_of:
                            self._status_file(status, entry, name)
        except UuidfsError as error:
            self._problem(place.path, error.reason)

    def _status_file(self, status: Directory, entry: str, name: str) -> None:
        for _ in range(_TRIES):
            found = status.look(entry)
            if found is not None and found.uid not in self.dirs.trusted:
                # From libvirt 11 on this directory belongs to QEMU's user, who could name
                # domains as they like; the daemon's files are root's.
                self.scan.incomplete = True
                return
            try:
                # Reads the very inode whose owner was judged: that user may swap files, too.
                identity = self.documents.identify(status, entry, found)
            except Changed:
                continue  # the daemon writes it often
            if not isinstance(identity, Identity) or identity.root != "domstatus":
                self.scan.incomplete = True
            elif identity.name == name and identity.uuid is not None and refusal(name) is None:
                self.scan.bind(name, identity.uuid, "status")
            return
        self.scan.incomplete = True

    def _config_store(self, kind: Kind) -> None:
        store = self.dirs.store(kind)
        for entry in store.list() if store is not None else ():
            if is_uuid(entry[:36]) and entry[36:] == ".xml":
                self.scan.config_store.add(entry)
            elif is_uuid(entry[:36]) and entry[36:] == ONCE_MARK:
                self.scan.once_notes.add(entry[:36])
            else:
                self._odd(kind, store, entry)

    def _logs(self, kind: Kind) -> None:
        names = self.dirs.names(kind)
        if names is None:
            return
        for entry in names.list():
            self._add_log(entry, names)
        store = self.dirs.store(kind)
        for entry in store.list() if store is not None else ():
            parts = stored_log(entry)
            if parts is not None:
                self.scan.log_store.setdefault(parts[0], []).append(parts[1])
            else:
                self._odd(kind, store, entry)

    def _add_log(self, entry: str, names: Directory) -> None:
        parts = split_log(entry)
        if parts is None:
            return
        try:
            text = names.link_text(entry)
        except UuidfsError as error:
            self._problem(error.path, error.reason, parts[0])
            self.scan.unread_logs = True
            return
        self.scan.logs[entry] = text
        name, suffix = parts
        target = log_target(text) if text is not None else None
        if target is not None:
            self.scan.logs_of_uuid.setdefault(target[0], []).append(entry)
        if (owner := self._helper_of(name, target)) is not None:
            name, suffix = owner[0], f"~{owner[1]}~{suffix}"
        self.scan.logs_of_name.setdefault(name, []).append((suffix, entry))

    def _helper_of(self, stem: str, target: tuple[str, str] | None) -> tuple[str, str] | None:
        """The domain and helper whose log has this name; our link says it, whatever XML says."""
        if not stem.endswith(("-virtiofsd", "-vhost-user-gpu")) or stem in self.scan.uuid_of:
            return None
        if target is not None:
            tag = log_base(target[1])[1:-1]
            return (stem[: -len(tag) - 1], tag) if tag and stem.endswith(f"-{tag}") else None
        from uuidfs.survey.helper_logs import owner  # rare, and the hook has no time

        return owner(self.dirs, self.scan, stem)

    def _add_helper_link(self, entry: str, names: Directory, name: str) -> None:
        """For the hook: a helper's log that is a link, of this domain or a former one's.

        A file can wait: it can be moved while virtlogd writes it.
        """
        text, parts = names.link_text(entry), split_log(entry)
        target = log_target(text) if text is not None else None
        config = self.dirs.names(Kind.CONFIG)
        if parts is None or target is None or config is None:
            return
        if config.stat(f"{parts[0]}.xml") is None and self._helper_of(parts[0], target):
            self._add_log(entry, names)

    def _odd(self, kind: Kind, store: Directory | None, entry: str) -> None:
        """An entry of a config or log store that is not UUID.xml or UUID.log*."""
        uuid = entry[:36]
        if store is None or entry == TRASH:
            return
        if is_uuid(uuid) and entry[36:] == MOVED_MARK:
            self.scan.moved.add(uuid)
        elif is_uuid(uuid) and entry[36:] in {LINK_TEMP, KEEP_TEMP}:
            self.scan.leftovers.setdefault(uuid, []).append((kind, False, entry))
        elif entry == STORE:
            room = store.child(entry)
            if room is not None:
                with room:
                    self._waiting_room(kind, room)
        else:
            self.scan.strangers.append(store.at(entry))

    def _waiting_room(self, kind: Kind, room: Directory) -> None:
        for entry in room.list():
            if is_uuid(entry[:36]):
                self.scan.leftovers.setdefault(entry[:36], []).append((kind, True, entry))
            else:
                self.scan.strangers.append(room.at(entry))

    def _metadata(self, kind: Kind) -> None:
        self.scan.meta_names[kind] = set()
        self.scan.meta_store[kind] = set()
        references = References(self.scan, kind, self.dirs.trusted)
        names = self.dirs.names(kind)
        for name in sorted(names.list()) if names is not None else ():
            self.scan.meta_names[kind].add(name)
            if names is not None and name not in self.scan.uuid_of:
                try:
                    references.look(names, name)
                except UuidfsError as error:
                    self._problem(error.path, error.reason, name)
        store = self.dirs.store(kind)
        for entry in store.list() if store is not None else ():
            if is_uuid(entry):
                self.scan.meta_store[kind].add(entry)
            elif store is not None and entry not in {TRASH, DIRECTORY_MARK}:
                self.scan.strangers.append(store.at(entry))
