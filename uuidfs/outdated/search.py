"""Looks at the running guests of a layout, one after the other."""

import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from uuidfs.errors import Changed, UsageError, UuidfsError, show
from uuidfs.files.directory import Directory, opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout import names
from uuidfs.layout.names import config_target
from uuidfs.layout.places import Kind, Layout
from uuidfs.outdated.contents import Contents
from uuidfs.outdated.emulator import changed, emulator_in
from uuidfs.outdated.process import Running, running_by
from uuidfs.outdated.results import Looked, Outdated, Reason, ReasonKind
from uuidfs.survey.identity import MAX_BYTES, Identity
from uuidfs.survey.identity_lxml import parsed, read_lxml
from uuidfs.survey.scan import Problem

_TRIES = 8  # looks at a status XML that the daemon replaces again and again


class _Guest(NamedTuple):
    """A domain by its status XML; whether it runs is told by its pid file."""

    name: str
    uuid: str
    emulator: str | None


def outdated(layout: Layout, uuids: Collection[str] | None = None) -> tuple[Outdated, ...]:
    """The running guests that execute code that is not on disk any more, in the order of names.

    ``uuids``: of these only. What could not be looked at is not among them; :func:`look` tells.
    Raises UsageError and UuidfsError as that does.
    """
    return look(layout, uuids).domains


def look(layout: Layout, uuids: Collection[str] | None = None) -> Looked:
    """Compare what the running guests execute with what lies on disk, and change nothing.

    The domains are those of libvirt's status directory, each with the process that holds its pid
    file; neither libvirt nor libvirt-python is needed. A guest that ends meanwhile is not
    outdated. The guest of a local migration that is in the peer is left out: it comes home to
    what is on disk. Raises UsageError for a layout without processes (``--root``), UuidfsError
    when not even the domains can be listed.
    """
    if not layout.live:
        raise UsageError("outdated is for the running guests of this host")
    domains: list[Outdated] = []
    problems: list[Problem] = []
    contents = Contents()
    count = 0
    with TrustedDirs(layout) as dirs:
        for guest in _guests(dirs, problems):
            if uuids is not None and guest.uuid not in uuids:
                continue
            found = _Look(dirs, guest, contents).result()
            if found is not None:
                problems += found.problems
                count += found.looked
                domains += found.domains
    return Looked(tuple(domains), count, tuple(problems))


class _Look:
    """A look at one guest; what goes wrong in a part of it leaves the other parts."""

    def __init__(self, dirs: TrustedDirs, guest: _Guest, contents: Contents) -> None:
        self._dirs = dirs
        self._guest = guest
        self._contents = contents
        self._pid_file = f"{dirs.layout.status.path}/{names.pid_file(guest.name)}"
        self._problems: list[Problem] = []

    def result(self) -> Looked | None:
        """None where it does not run, or has ended meanwhile."""
        try:
            found = self._again()
        except ProcessLookupError:
            return None
        except OSError as error:
            self._note(error)
            return Looked((), 0, tuple(self._problems))
        except UuidfsError as error:
            problem = Problem(error.path or self._pid_file, error.reason, self._guest.name)
            return Looked((), 0, (problem,))
        if found is None:
            return None
        return Looked((found,) if found.reasons else (), 1, tuple(self._problems))

    def _again(self) -> Outdated | None:
        """None where it does not run.

        What was there a moment ago may be gone, while a package is being unpacked for example:
        then this looks again. Raises OSError and UuidfsError.
        """
        for last in range(1 - _TRIES, 1):
            running = running_by(self._pid_file)
            if running is None:
                return None
            with running:
                self._problems.clear()
                try:
                    return self._once(running)
                except FileNotFoundError:
                    running.expect_alive()
                    if not last:
                        raise
        return None

    def _once(self, running: Running) -> Outdated:
        reasons: list[Reason] = []
        denied: PermissionError | None = None
        for mapped in running.code():
            try:
                reason = running.reason(mapped, self._contents)
            except PermissionError as error:
                denied = denied or error  # others may be told all the same
            else:
                reasons += [reason] if reason is not None else []
        if denied is not None:
            self._note(denied)
        reason, other = self._emulator(running)
        reasons += [reason] if reason is not None else []
        running.expect_alive()  # what was missing may have been so because it ended
        guest = self._guest
        return Outdated(guest.name, guest.uuid, running.pid, tuple(reasons), other)

    def _emulator(self, running: Running) -> tuple[Reason | None, str | None]:
        """Why its config makes it outdated, and the path of another emulator in it."""
        guest = self._guest
        try:
            wanted = _wanted(self._dirs, guest.name)
        except UuidfsError as error:
            self._problems.append(Problem(error.path, error.reason, guest.name))
            return None, None
        if wanted is None:
            return None, None
        try:
            reason = changed(wanted, guest.emulator, running, self._contents)
        except (FileNotFoundError, ProcessLookupError):
            raise
        except OSError as error:
            self._note(error)
            return None, None
        is_other = reason is not None and reason.kind is ReasonKind.EMULATOR_CHANGED
        return reason, wanted if is_other and wanted != guest.emulator else None

    def _note(self, error: OSError) -> None:
        where = f"{show(os.fsdecode(error.filename))}: " if error.filename else ""
        advice = "; run as root" if isinstance(error, PermissionError) else ""
        reason = f"its process cannot be looked at: {where}{error.strerror or error}{advice}"
        self._problems.append(Problem(self._pid_file, reason, self._guest.name))


def _guests(dirs: TrustedDirs, problems: list[Problem]) -> Iterator[_Guest]:
    status = opened(dirs.layout.status)
    if status is None:
        return
    with status:
        for entry in sorted(status.list()):
            if entry.endswith(".xml"):
                try:
                    guest = _guest(status, entry, dirs.trusted)
                except UuidfsError as error:
                    problems.append(Problem(error.path, error.reason, entry[:-4]))
                else:
                    if guest is not None:
                        yield guest


def _guest(status: Directory, entry: str, trusted: Collection[int]) -> _Guest | None:
    """Raises UuidfsError. The daemon replaces the file often, and never rewrites it."""
    for last in range(1 - _TRIES, 1):
        found = status.look(entry)
        # From libvirt 11 on the directory is QEMU's user's, who could name domains as they like;
        # the daemon's files are root's (uuidfs.survey.scanner).
        if found is None or not found.is_file or found.uid not in trusted:
            return None
        try:
            data = status.read(entry, MAX_BYTES, found)
            break
        except Changed:
            if not last:
                raise
    identity = read_lxml(data) if data is not None else None
    if not isinstance(identity, Identity) or identity.root != "domstatus" or data is None:
        return None
    if identity.name != entry[:-4] or identity.uuid is None:
        return None
    domain = parsed(data).find("domain")
    return _Guest(identity.name, identity.uuid, emulator_in(domain) if domain is not None else None)


def _wanted(dirs: TrustedDirs, name: str) -> str | None:
    """The emulator of a domain's config; None for one without, a transient one for example.

    Raises UuidfsError.
    """
    names = dirs.names(Kind.CONFIG)
    if names is None:
        return None
    entry = f"{name}.xml"
    directory: Directory | None = names
    text = names.link_text(entry)
    if text is not None:
        uuid = config_target(text)
        if uuid is None:
            return None  # a symlink of somebody else's
        directory, entry = dirs.store(Kind.CONFIG), f"{uuid}.xml"
    data = directory.read(entry, MAX_BYTES) if directory is not None else None
    if data is None or not isinstance(identity := read_lxml(data), Identity):
        return None
    return emulator_in(parsed(data)) if identity.root == "domain" else None
