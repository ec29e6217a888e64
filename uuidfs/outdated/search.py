"""Looks at the running guests of a layout, one after the other."""

import os
from collections.abc import Collection, Iterator
from typing import NamedTuple

from uuidfs.errors import Changed, UsageError, UuidfsError, show
from uuidfs.files.directory import Directory, opened
from uuidfs.files.trusted import TrustedDirs
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
            path = f"{layout.status.path}/{guest.name}.pid"
            try:
                found = _look_again(dirs, guest, path, contents)
            except ProcessLookupError:
                continue  # it has ended
            except OSError as error:
                problems.append(Problem(path, _why(error), guest.name))
            except UuidfsError as error:
                problems.append(Problem(error.path or path, error.reason, guest.name))
            else:
                count += found is not None
                if found is not None and found.reasons:
                    domains.append(found)
    return Looked(tuple(domains), count, tuple(problems))


def _why(error: OSError) -> str:
    where = f"{show(os.fsdecode(error.filename))}: " if error.filename else ""
    advice = "; run as root" if isinstance(error, PermissionError) else ""
    return f"its process cannot be looked at: {where}{error.strerror or error}{advice}"


def _look_again(dirs: TrustedDirs, guest: _Guest, path: str, contents: Contents) -> Outdated | None:
    """One guest, None where it does not run.

    What was there a moment ago may be gone, while a package is being unpacked for example: then
    this looks again. Raises OSError, ProcessLookupError when it has ended, and UuidfsError.
    """
    for last in range(1 - _TRIES, 1):
        running = running_by(path)
        if running is None:
            return None
        with running:
            try:
                return _look_at(dirs, guest, running, contents)
            except FileNotFoundError:
                running.expect_alive()
                if not last:
                    raise
    return None


def _look_at(dirs: TrustedDirs, guest: _Guest, running: Running, contents: Contents) -> Outdated:
    """One guest. Raises OSError, and UuidfsError for its config."""
    reasons: list[Reason] = []
    for mapped in running.code():
        reason = running.reason(mapped, contents)
        if reason is not None:
            reasons.append(reason)
    wanted = _wanted(dirs, guest.name)
    reason = changed(wanted, guest.emulator, running, contents) if wanted is not None else None
    other = None
    if reason is not None:
        reasons.append(reason)
        if reason.kind is ReasonKind.EMULATOR_CHANGED and wanted != guest.emulator:
            other = wanted
    running.expect_alive()  # what was missing may have been so because it ended
    return Outdated(guest.name, guest.uuid, running.pid, tuple(reasons), other)


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
