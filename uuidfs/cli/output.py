"""How a command ends: what it says, and its exit code. Never with a traceback for bad input."""

import errno
import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NoReturn

from uuidfs.errors import (
    EXIT_BUSY,
    EXIT_FAILED,
    EXIT_OK,
    SystemCallFailed,
    UsageError,
    UuidfsError,
    show,
)
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout

if TYPE_CHECKING:
    from uuidfs.convert.results import Options, RunResult
    from uuidfs.firmware.results import FirmwareRun
    from uuidfs.runtime.known_checkpoints import KnownCheckpoints
    from uuidfs.settings import Loaded
    from uuidfs.settings_keys import Configuration


_STDOUT = "standard output"

# What write(2) says of a file without room and of a lost terminal.
_UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})

EXIT_INTERRUPTED = 130  # as a shell says of a command that SIGINT ended


class StoppedError(UuidfsError):
    """Ctrl-C, with what is done so far."""

    exit_code = EXIT_INTERRUPTED


def draws() -> bool:
    """Whether progress is drawn: only where a person looks at standard error.

    dpkg gives maintainer scripts a terminal, and apt writes what comes out of it to its log;
    DPKG_MAINTSCRIPT_PACKAGE is in their environment (dpkg(1), "ENVIRONMENT"). rpm tells its
    scriptlets nothing: packaging/lifecycle says TERM=dumb for both.
    """
    environment = os.environ
    return (
        sys.stderr is not None
        and sys.stderr.isatty()
        and environment.get("TERM", "dumb") != "dumb"
        and "DPKG_MAINTSCRIPT_PACKAGE" not in environment
    )


def rooted(root: str) -> Layout:
    """The layout below ``--root``; raises UsageError when there is no such directory."""
    if not os.path.isdir(root):
        raise UsageError(f"--root {show(root)}: there is no such directory")
    return system(root)


def configured(layout: Layout) -> "Configuration":
    """The configuration in force; raises ConfigError."""
    from uuidfs import settings  # tomllib and this cost 15 ms

    return settings.load(layout)


def known_checkpoints(layout: Layout, uuid: str) -> "KnownCheckpoints | None":
    """The checkpoints of a domain that libvirt knows: rarely asked for, and slow to import."""
    from uuidfs.host.libvirtd import checkpoints_of

    return checkpoints_of(layout, uuid)


def starts_once(layout: Layout, uuid: str) -> bool | None:
    """Whether libvirt has a domain marked for one autostart, likewise."""
    from uuidfs.host import libvirtd

    return libvirtd.starts_once(layout, uuid)


def cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def carry_out(
    action: "Callable[[Layout, Options], RunResult]",
    layout: Layout,
    options: "Options",
    *,
    as_json: bool = False,
    verbose: bool = False,
    firmware: "Callable[[], FirmwareRun | None] | None" = None,
) -> int:
    """Run convert or revert, say what it did, and return the exit code.

    ``firmware`` comes first: libvirt writes the definitions anew, which are files to convert.
    """
    from uuidfs.cli.render.runs import run_errors, run_json, run_lines
    from uuidfs.convert.results import Interrupted

    changed = firmware() if firmware is not None else None
    try:
        result = action(layout, options)
    except Interrupted as stop:
        raise StoppedError(f"interrupted: {stop}") from None
    if as_json:
        say([run_json(result, changed)])
    else:
        say(run_lines(result, changed, verbose=verbose), run_errors(result, changed))
    codes = {result.exit_code, EXIT_OK if changed is None else changed.exit_code}
    return next(code for code in (EXIT_FAILED, EXIT_BUSY, EXIT_OK) if code in codes)


def say(lines: Iterable[str], errors: Iterable[str] = ()) -> None:
    """Print results to stdout and complaints to stderr.

    Raises OSError where standard output takes nothing, BrokenPipeError where nobody reads it any
    more. Complaints that nobody can take are dropped.
    """
    failed: OSError | None = None
    for stream, texts in ((sys.stdout, lines), (sys.stderr, errors)):
        whole = "".join(f"{text}\n" for text in texts)
        if stream is None or not whole:  # Python has none where it was closed
            continue
        try:
            stream.write(whole)
            stream.flush()
        except OSError as error:
            nowhere(stream.fileno())
            if stream is sys.stdout:
                failed = error
    if failed is not None:
        failed.filename = _STDOUT
        raise failed


def nowhere(fd: int) -> None:
    """Let what is still to be written there go nowhere: Python tries again at its end, and would
    complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, fd)
    os.close(null)


def fail(message: str, exit_code: int) -> NoReturn:
    """One line on stderr, or a JSON object where ``--json`` was asked for, and the end."""
    message = " ".join(message.split())
    if "--json" in sys.argv[1:]:
        from uuidfs.cli.render.text import error_json

        say([error_json(message, exit_code)])
    else:
        say([], [f"uuidfs: {message}"])
    sys.exit(exit_code)


def guarded(call: Callable[[], object]) -> NoReturn:
    """Call a command and exit with the code that it returns or that its error documents."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _called(call)
        if sys.stdout is not None:
            sys.stdout.flush()  # what typer itself printed
    except BrokenPipeError:
        nowhere(1)  # nothing more can be said there
        sys.exit(EXIT_FAILED)
    except OSError as error:
        nowhere(1)
        say([], [f"uuidfs: {SystemCallFailed('write to', _STDOUT, error)}"])
        sys.exit(EXIT_FAILED)
    sys.exit(code)


def _called(call: Callable[[], object]) -> int:
    """The exit code. Raises OSError where standard output does not take what is said."""
    try:
        code = call()
    except UuidfsError as error:
        fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", EXIT_INTERRUPTED)
    except OSError as error:
        if error.filename == _STDOUT or isinstance(error, BrokenPipeError):
            raise
        if error.filename is None and error.errno in _UNWRITABLE:  # typer printed help
            raise
        fail(str(error), EXIT_FAILED)
    return code if isinstance(code, int) else EXIT_OK


def loaded_settings(layout: "Layout") -> "Loaded":
    from uuidfs import settings  # other commands do without tomllib

    return settings.read(layout)
