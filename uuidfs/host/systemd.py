"""Installs, removes and inspects the systemd units, for a uuidfs that no package has installed.

They are those of the packages, with the program of this installation in ExecStart=. Files that
are not ours are never touched, and where a package's units are, there is nothing to install.
"""

import errno
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass

from uuidfs.errors import Refused, SystemCallFailed, UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.files.small import put, read
from uuidfs.host.shipped import unit_text
from uuidfs.layout.places import Kind, Layout, Place

UNITS = ("uuidfs-check.service", "uuidfs-recover.service", "uuidfs.service")

ENABLED = ("uuidfs-check.service", "uuidfs.service")  # the other one is started by need

MARK = b"# uuidfs-unit 1: made by uuidfs systemd install, taken away by uuidfs systemd remove\n"

PACKAGED = ("usr/lib/systemd/system", "lib/systemd/system")

_PROGRAM = "/usr/bin/uuidfs"  # in the packages' units

_HOMES = ("/home/", "/root/", "/run/user/")

_TEMPORARY = ("/tmp/", "/var/tmp/")  # noqa: S108 - refused, not used

_TIMEOUT = 360.0  # seconds; starting waits for the first full pass (TimeoutStartSec=)


class SystemctlError(UuidfsError):
    """systemctl did not do it; the units are in place or gone all the same."""


@dataclass(frozen=True)
class UnitState:
    """One unit's file: its path, the command in it, and whose it is.

    ``installed``: by ``uuidfs systemd install`` or, then ``packaged``, by a package. ``foreign``:
    somebody else's file is where systemd looks first, and that is what it takes.
    """

    name: str
    path: str
    installed: bool
    command: str | None = None
    foreign: bool = False
    changed: bool = False
    packaged: bool = False


def directory(layout: Layout) -> Place:
    """Where an administrator's units are. Raises Refused for other connections."""
    config = layout.names[Kind.CONFIG]
    if layout.uri != "qemu:///system":
        raise Refused(layout.uri, "the units are for qemu:///system only")
    if config.below:
        return Place(config.base, (*config.below[:-2], "systemd", "system"))
    return Place(config.path.removesuffix("/libvirt/qemu"), ("systemd", "system"))


def status(layout: Layout) -> tuple[UnitState, ...]:
    """Look where the units are, ours and a package's; changes nothing. Raises SystemCallFailed.

    An administrator's directory comes before the packages': systemd.unit(5), "UNIT FILE LOAD PATH".
    """
    place = directory(layout)
    return tuple(
        unit if unit.installed or unit.foreign else _of_package(place, unit)
        for unit in _own(layout)
    )


def _of_package(place: Place, unit: UnitState) -> UnitState:
    """The package's, where there is one that runs something."""
    path = _packaged(place, unit.name)
    command = _command(read(path) or b"") if path is not None else None
    if path is None or command is None:
        return unit
    return UnitState(unit.name, path, True, command, packaged=True)


def _own(layout: Layout) -> tuple[UnitState, ...]:
    """Only what is in the administrator's directory."""
    place = directory(layout)
    return tuple(_look(f"{place.path}/{name}", name) for name in UNITS)


def _look(path: str, name: str) -> UnitState:
    data = read(path)
    if data is None or MARK not in data:
        return UnitState(name, path, False, foreign=data is not None)
    return UnitState(name, path, True, _command(data))


def _command(data: bytes) -> str | None:
    """What a unit runs."""
    lines = [line for line in data.splitlines() if line.startswith(b"ExecStart=")]
    return os.fsdecode(lines[0].removeprefix(b"ExecStart=")) if lines else None


def _packaged(place: Place, name: str) -> str | None:
    """Where a package has a unit."""
    for directory in PACKAGED:
        path = f"{place.path.removesuffix('/etc/systemd/system')}/{directory}/{name}"
        if os.path.exists(path):
            return path
    return None


def install(layout: Layout) -> tuple[UnitState, ...]:
    """Put the units in place, or bring older ones of ours up to date.

    Raises Refused where somebody else's are, or where this installation cannot be run by a unit;
    then nothing changed.
    """
    place = directory(layout)
    before = _own(layout)
    for unit in before:
        if unit.foreign:
            raise Refused(
                unit.path, "somebody else's unit is in its place", "move it away and run again"
            )
        if (path := _packaged(place, unit.name)) is not None:
            raise Refused(
                path,
                "a package has installed the units",
                "run: systemctl enable --now uuidfs.service",
            )
    _expect_rights(before[0].path)
    wanted = {unit.name: rendered(unit.name, program()) for unit in before}
    done = []
    for unit in before:
        changed = read(unit.path) != wanted[unit.name]
        if changed:
            try:
                put(place, unit.name, wanted[unit.name], 0o644)
            except OSError as error:
                raise SystemCallFailed("install the unit as", unit.path, error) from error
        after = _look(unit.path, unit.name)
        done.append(UnitState(unit.name, unit.path, True, after.command, changed=changed))
    return tuple(done)


def _expect_rights(path: str) -> None:
    """Said before what else is in the way: only root can mend that, too."""
    directory = os.path.dirname(path)
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    if not os.access(directory, os.W_OK, effective_ids=True):
        denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise SystemCallFailed("install the unit as", path, denied)


def remove(layout: Layout) -> tuple[UnitState, ...]:
    """Remove our units; those of others stay as they are. Raises SystemCallFailed."""
    before = _own(layout)
    units = opened(directory(layout))
    if units is None:
        return before
    with units:
        for unit in before:
            if unit.installed:
                try:
                    change.unlink(units, unit.name)
                except OSError as error:
                    raise SystemCallFailed("remove", unit.path, error) from error
        change.sync_directory(units)
    return tuple(
        UnitState(unit.name, unit.path, False, foreign=unit.foreign, changed=unit.installed)
        for unit in before
    )


def program() -> str:
    """The path of this installation's uuidfs, as pipx and pip make it beside their Python.

    Raises Refused for a checkout, and for one in a directory that is gone at the next boot.
    """
    path = os.path.join(os.path.dirname(sys.executable), "uuidfs")
    if not os.access(path, os.X_OK):
        raise Refused(
            path,
            "there is no such program, and a unit needs one",
            "install uuidfs, for example by pipx",
        )
    if path.startswith(_TEMPORARY):
        raise Refused(
            path, "a unit cannot run what is in a temporary directory", "install uuidfs elsewhere"
        )
    if set(path) & set("\"'\\$") or not path.isprintable():
        raise Refused(
            path,
            "systemd runs no program with such characters in its path",
            "install uuidfs elsewhere",
        )
    return path


def rendered(name: str, path: str) -> bytes:
    """A packages' unit, with the program at ``path``, and a home that it may be in."""
    text = unit_text(name).replace(f"ExecStart={_PROGRAM} ", f"ExecStart={_quoted(path)} ")
    # The interpreter may be in a home where the virtual environment is not (pyenv).
    used = {path, os.path.realpath(path), os.path.realpath(sys.executable)}
    if any(each.startswith(_HOMES) for each in used):
        text = text.replace("ProtectHome=yes\n", "ProtectHome=read-only\n")
    return MARK + os.fsencode(text)


def _quoted(text: str) -> str:
    """A path as the first word of ExecStart=: systemd.service(5), "Command lines"."""
    text = text.replace("%", "%%")
    return f'"{text}"' if set(text) & set(" ;") else text


def systemctl(layout: Layout, *commands: tuple[str, ...]) -> bool:
    """Run systemctl for each command; False where there is no systemd to be told.

    Raises SystemctlError with what it said; the commands after it are not run.
    """
    tool = shutil.which("systemctl")
    if not layout.live or tool is None or not os.path.isdir("/run/systemd/system"):
        return False
    for words in commands:
        try:
            done = subprocess.run(  # noqa: S603 - a fixed command with names of ours
                [tool, *words], capture_output=True, text=True, check=False, timeout=_TIMEOUT
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise SystemctlError(f"systemctl {' '.join(words)}: {error}") from error
        if done.returncode != 0:
            said = " ".join(done.stderr.split())
            raise SystemctlError(
                f"systemctl {' '.join(words)} ended with {done.returncode}: {said}"
            )
    return True
