"""The hook's slow path: convert the one domain whose XML is on stdin.

hooks/qemu starts this only when something is to be done. It runs while the daemon holds the
domain: one second at most for the lock, four in all, and no import that costs more than a
few milliseconds (no lxml, no filelock, no typer, no pathlib, no logging).
"""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from uuidfs.apply.applier import Applier
from uuidfs.convert.attempt import attempt
from uuidfs.errors import Busy, UuidfsError
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.connections import system
from uuidfs.layout.names import refusal
from uuidfs.layout.places import Layout
from uuidfs.plan.convert import plan_convert
from uuidfs.plan.steps import Plan
from uuidfs.runtime.flock import make_lock_directory, try_lock
from uuidfs.survey.identity import MAX_BYTES, read_expat
from uuidfs.survey.scan import Scan
from uuidfs.survey.scanner import scan_all, scan_domain
from uuidfs.survey.surveyor import Surveyor

LOCK_WAIT = 1.0  # seconds

LIFETIME = 4.0  # seconds; hooks/qemu kills after as many


def main(argv: list[str]) -> None:
    """``argv``: root directory (empty in production), NAME, OPERATION, SUBOPERATION, EXTRA.

    Says what went wrong to syslog and always exits 0; the alarm's default action ends the
    process whatever it is doing.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, LIFETIME)
    root, name, operation = argv[:3]
    try:
        data = sys.stdin.buffer.read(MAX_BYTES + 1)
        layout = system(root or None)
        if operation == "prepare":
            _settle_tpm(layout, name, operation, data)
            _settle_firmware(layout, name, operation, data)
        convert_one(layout, name, data, start=operation == "prepare")
    except UuidfsError as error:
        _tell(name, operation, str(error))
    except Exception as error:
        _tell(name, operation, f"{type(error).__name__}: {error}")
    sys.exit(0)


def _settle_tpm(layout: Layout, name: str, operation: str, data: bytes) -> None:
    """After a power cut in a local migration: a start before its recovery gets the newest state."""
    if not os.path.lexists(layout.aside.path):
        return
    identity = read_expat(data) if len(data) <= MAX_BYTES else ""
    if isinstance(identity, str) or identity.uuid is None:
        return  # convert_one says so
    from uuidfs.host import tpm_state

    try:
        with _lock(layout, identity.uuid, LOCK_WAIT):
            tpm_state.settle(layout, identity.uuid, runs=False, defined=True)
    except UuidfsError as error:
        _tell(name, operation, str(error))


def _settle_firmware(layout: Layout, name: str, operation: str, data: bytes) -> None:
    """A file of another domain must not be this one's; its own is to be found."""
    if b"<nvram" not in data and b"firmware=" not in data and b"store" not in data:
        return
    identity = read_expat(data) if len(data) <= MAX_BYTES else ""
    if isinstance(identity, str) or identity.uuid is None:
        return  # convert_one says so
    from uuidfs.firmware.at_start import settle

    try:
        with _lock(layout, identity.uuid, LOCK_WAIT):
            for said in settle(layout, name, identity.uuid, data):
                _tell(name, operation, said)
    except (UuidfsError, OSError, ValueError) as error:
        _tell(name, operation, str(error))


def _tell(name: str, operation: str, message: str) -> None:
    import syslog

    syslog.openlog("uuidfs-hook", 0, syslog.LOG_DAEMON)
    text = f"name={name!r} operation={operation}: {' '.join(message.split())}"
    syslog.syslog(syslog.LOG_WARNING, text.encode("utf-8", "backslashreplace").decode())


def convert_one(layout: Layout, name: str, data: bytes, *, start: bool) -> None:
    """Convert the domain ``name`` that ``data`` describes; on ``start`` make its log's link.

    Raises UuidfsError; then the domain's names are as they were, or as far as they came.
    """
    identity = read_expat(data) if len(data) <= MAX_BYTES else "the XML on stdin is too large"
    if isinstance(identity, str):
        raise UuidfsError(f"cannot tell which domain this is: {identity}")
    if identity.uuid is None or identity.name != name or refusal(name) is not None:
        raise UuidfsError(refusal(name) or f"the XML on stdin is of {identity.name!r}")
    with TrustedDirs(layout) as dirs:
        surveyor = Surveyor(dirs, read_expat)
        scan = scan_domain(surveyor.documents, name, identity.uuid)
        if _needs_all(scan, name, identity.uuid):
            scan = _wide(surveyor, name, identity.uuid)
            for other in _former_owners(scan, name, identity.uuid):
                # Its log gets its new name before the old one is taken. Where that fails, a
                # mark tells its next conversion (steps.Op.MARK).
                former = _Domain(surveyor, scan, scan.names_of[other][0], other)
                try:
                    former.convert(wait=0.0, log_link=False)
                except UuidfsError as error:
                    _tell(name, "prepare", str(error))
        domain = _Domain(surveyor, scan, name, identity.uuid)
        domain.convert(wait=LOCK_WAIT, log_link=start)


def _former_owners(scan: Scan, name: str, uuid: str) -> list[str]:
    """The domains, under other names now, whose logs this name still links to."""
    entries = {entry for _, entry in scan.logs_of_name.get(name, ())}
    return [
        other
        for other, links in scan.logs_of_uuid.items()
        if other != uuid and other in scan.names_of and entries.intersection(links)
    ]


def _needs_all(scan: Scan, name: str, uuid: str) -> bool:
    """Whether only a scan of everything tells what to do with the logs.

    So it is when the name links to another domain's, which may have another name by now, or
    when this domain's link is not under its name: after a rename.
    """
    mine = set(scan.logs_of_uuid.get(uuid, ()))
    entries = [entry for _, entry in scan.logs_of_name.get(name, ())]
    if any(scan.logs[entry] is not None and entry not in mine for entry in entries):
        return True
    return uuid in scan.log_store and f"{name}.log" not in mine


def _wide(surveyor: Surveyor, name: str, uuid: str) -> Scan:
    scan = scan_all(surveyor.documents)
    if scan.uuid_of.get(name) != uuid:
        scan.rebind(name, uuid, "hook")
    return scan


class _Domain:
    """One domain while it is looked at, again and again where libvirt is faster."""

    def __init__(self, surveyor: Surveyor, scan: Scan, name: str, uuid: str) -> None:
        self.surveyor = surveyor
        self.scan = scan
        self.name = name
        self.uuid = uuid

    def convert(self, *, wait: float, log_link: bool) -> None:
        """Convert under the lock. Raises UuidfsError, also for what is left alone."""
        layout = self.surveyor.layout

        def look() -> Plan:
            view = self.surveyor.view(self.scan, self.uuid)
            return plan_convert(layout, view, self.scan.names_of, log_link=log_link, refile=False)

        with Applier(self.surveyor.dirs, "hook") as applier, _lock(layout, self.uuid, wait):
            plan = attempt(applier, look, [], self._look_again)
        if plan.problems:
            raise UuidfsError("; ".join(f"{p.path}: {p.reason}" for p in plan.problems))

    def _look_again(self) -> None:
        self.scan = _wide(self.surveyor, self.name, self.uuid)


@contextmanager
def _lock(layout: Layout, uuid: str, wait: float) -> Iterator[None]:
    place = layout.locks
    make_lock_directory(place)
    uuid = _outside_sessions(layout, uuid)  # at once: its owner may be waiting for this very hook
    path = f"{place.path}/{uuid}.lock"
    deadline = time.monotonic() + wait
    while (fd := try_lock(path)) is None:
        if time.monotonic() >= deadline:
            raise Busy(path, wait)
        time.sleep(0.02)
    try:
        _outside_sessions(layout, uuid)  # its owner brings everything up to date afterwards
        yield
    finally:
        os.close(fd)


def _outside_sessions(layout: Layout, uuid: str) -> str:
    """The UUID whose lock is a domain's; raises InSession when it is being moved."""
    if not os.path.lexists(layout.sessions.path):
        return uuid
    from uuidfs.runtime import sessions

    uuid = sessions.real_uuid(layout, uuid)
    sessions.guard(layout, uuid)
    return uuid
