"""Installs, removes and inspects the libvirt qemu hook; never touches a foreign file.

libvirt runs hooks/qemu, then every executable in hooks/qemu.d (since 6.5.0). Ours takes the
first place when it is free, and hooks/qemu.d/uuidfs when somebody else's script is there.
"""

import os
import sys
from dataclasses import dataclass

from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.files.small import put, read
from uuidfs.host import selinux
from uuidfs.host.interpreter import checkout
from uuidfs.host.shipped import hook_script
from uuidfs.layout.places import Kind, Layout, Place
from uuidfs.runtime import sessions

MARK = b"# uuidfs-hook 1\n"

INTERPRETER = "/usr/bin/python3"

RELOAD = (
    "uuidfs: libvirt notices hooks when it starts or reloads; "
    "run: systemctl reload libvirtd (or virtqemud), or send it SIGHUP"
)


@dataclass(frozen=True)
class HookState:
    """Where the hook is or was; ``reload`` when the daemon has to be told."""

    installed: bool
    path: str
    changed: bool = False
    reload: bool = False
    foreign: tuple[str, ...] = ()
    interpreter: str | None = None


def _places(layout: Layout) -> tuple[Place, str]:
    config = layout.names[Kind.CONFIG]
    if layout.uri != "qemu:///system":
        raise Refused(layout.uri, "libvirt runs the qemu hook for qemu:///system only")
    below = config.below[:-1] if config.below else ()
    base = config.base if config.below else config.base.rsplit("/", 1)[0]
    place = Place(base, (*below, "hooks"))
    return place, place.path


def rendered() -> bytes:
    """The hook for the interpreter that runs uuidfs now, so that a venv's is used later too."""
    return (
        hook_script()
        .replace(f"python={INTERPRETER}\n".encode(), f"python={_quoted(sys.executable)}\n".encode())
        .replace(b"pythonpath=\n", f"pythonpath={_quoted(checkout())}\n".encode())
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'" if text else ""


def status(layout: Layout) -> HookState:
    """Look where the hook is; changes nothing."""
    _, base = _places(layout)
    foreign = []
    found = None
    for relative in ("qemu", "qemu.d/uuidfs"):
        path = f"{base}/{relative}"
        data = read(path)
        if data is not None and MARK in data:
            found = found or (path, data)
        elif data is not None:
            foreign.append(path)
    if found is None:
        return HookState(False, f"{base}/qemu", foreign=tuple(foreign))
    line = next((x for x in found[1].splitlines() if x.startswith(b"python=")), b"python=")
    return HookState(
        True, found[0], foreign=tuple(foreign), interpreter=os.fsdecode(line[7:]).strip("'")
    )


def install(layout: Layout) -> HookState:
    """Put the hook in place, or bring an older one of ours up to date.

    Raises Refused where only foreign files are, and where SELinux does not let the daemon execute
    the hook; SystemCallFailed else. Then nothing changed.
    """
    place, _ = _places(layout)
    before = status(layout)
    target = before.path
    if not before.installed and target in before.foreign:
        target = f"{place.path}/qemu.d/uuidfs"
        if target in before.foreign:
            raise Refused(
                target, "somebody else's file is in the hook's place", "move it away and run again"
            )
    daemon = selinux.kept_from(layout, target)
    if daemon:
        raise Refused(
            target,
            f"SELinux does not let libvirt's daemon, {daemon}, execute it: no domain would start",
            "the reconciler does the work without it, and uuidfs-hook(8) says what lets it run",
        )
    data = rendered()
    if before.installed and read(target) == data:
        return status(layout)
    directory = place if target.endswith("/hooks/qemu") else place.child("qemu.d")
    try:
        fresh = put(directory, target.rsplit("/", 1)[1], data, 0o755)
    except OSError as error:
        raise SystemCallFailed("install the hook as", target, error) from error
    after = status(layout)
    return HookState(
        after.installed,
        target,
        True,
        fresh or not before.installed,
        before.foreign,
        after.interpreter,
    )


def remove(layout: Layout) -> HookState:
    """Remove our hook wherever it is; foreign files stay as they are.

    Then qemu.d, which libvirt's packages do not bring, goes when nothing else is in it. Raises
    InSession while any guest is away: without the hook it could be started a second time.
    """
    before = status(layout)
    if not before.installed:
        return before
    sessions.guard_all(layout)
    place, _ = _places(layout)
    in_d = before.path.endswith("/qemu.d/uuidfs")
    directory = opened(place.child("qemu.d") if in_d else place)
    if directory is None:
        return HookState(False, before.path)
    with directory:
        try:
            change.unlink(directory, before.path.rsplit("/", 1)[1])
            change.sync_directory(directory)
        except OSError as error:
            raise SystemCallFailed("remove", before.path, error) from error
    if in_d and (above := opened(place)) is not None:
        with above:
            change.remove_directory(above, "qemu.d")
    return HookState(False, before.path, True, foreign=before.foreign)
