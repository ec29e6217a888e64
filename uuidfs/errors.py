"""Everything that uuidfs reports as an error, with its exit code.

An error says what happened, to which path, and what to do. Its class tells
whether trying again can help: :class:`Retryable` means that somebody else was
at work in the same place, all others are final until a person acts.
"""

import errno
import os
from collections.abc import Iterable

EXIT_OK = 0

EXIT_FAILED = 1

EXIT_USAGE = 2

EXIT_FOUND = 3

EXIT_BUSY = 75


class UuidfsError(Exception):
    """Base of all errors. ``exit_code`` is what the command ends with.

    ``path`` is what the error is about, "" where that is no path; ``reason`` says what is
    wrong with it, without the path and without advice. The text of the error has all three.
    """

    exit_code = EXIT_FAILED

    def __init__(self, message: str, path: str = "", reason: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.reason = reason or message


class UsageError(UuidfsError):
    """The command line asks for something that cannot be: no such domain, no such URI."""

    exit_code = EXIT_USAGE


class Retryable(UuidfsError):
    """Somebody else was at work; the next run sees the new state."""


class NoSuchDomain(UuidfsError):
    """No config and no status file binds this name or UUID. ``near``: names like it that exist."""

    def __init__(self, domain: str, reason: str = "", near: Iterable[str] = ()) -> None:
        self.domain = domain
        self.near = tuple(near)
        what = (f": {reason}" if reason else "") + meant(self.near)
        if not what:
            what = "; uuidfs status lists those that are known"
        super().__init__(f"no domain {show(domain)!r}{what}")


class AmbiguousDomain(UsageError):
    """Several UUIDs begin so. ``candidates``: of each the UUID, and the name where it has one."""

    SHOWN = 5

    def __init__(self, domain: str, candidates: Iterable[tuple[str, str | None]]) -> None:
        self.domain = domain
        self.candidates = tuple(candidates)
        texts = [f"{uuid} ({show(name)})" if name else uuid for uuid, name in self.candidates]
        more = len(texts) - self.SHOWN
        super().__init__(
            f"{show(domain)!r} is the beginning of several UUIDs; write more of it: "
            + ", ".join(texts[: self.SHOWN])
            + (f" and {more} more" if more > 0 else "")
        )


class Busy(Retryable):
    """The domain's lock is held by another process.

    Exit code 75 is EX_TEMPFAIL of sysexits.h.
    """

    exit_code = EXIT_BUSY

    def __init__(self, path: str, waited: float) -> None:
        super().__init__(
            f"busy: {show(path)} is held by another process (waited {waited:g} s); "
            "run again later or raise --lock-timeout",
            path,
        )
        self.waited = waited


class Changed(Retryable):
    """A file was replaced between the look and the step; nothing was done to it."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{show(path)} changed while it was being handled; run again", path)


class Refused(UuidfsError):
    """A file or directory is not what it has to be; it is left alone."""

    def __init__(self, path: str, reason: str, advice: str = "") -> None:
        super().__init__(
            f"{show(path)}: {reason}" + (f"; {advice}" if advice else ""), path, reason
        )
        self.advice = advice


class Unreadable(Refused):
    """A document that cannot be parsed, or says too little; it is left alone."""


class ConfigError(UuidfsError):
    """The configuration cannot be trusted or understood: which file, line and key, and why.

    ``line`` and ``key`` are None where the fault is the whole file's.
    """

    exit_code = EXIT_USAGE

    def __init__(
        self, path: str, message: str, line: int | None = None, key: str | None = None
    ) -> None:
        super().__init__(
            show(path)
            + (f":{line}" if line is not None else "")
            + (f": {show(key)}" if key is not None else "")
            + f": {message}",
            path,
            message,
        )
        self.line = line
        self.key = key
        self.message = message


class NoSuchEntry(UuidfsError):
    """Nothing in the trash has this id, or several things have."""

    def __init__(self, wanted: str, matches: int = 0) -> None:
        super().__init__(
            f"{show(wanted)!r} is the beginning of {matches} ids; write more of it"
            if matches
            else f"nothing in the trash has the id {show(wanted)!r}; uuidfs trash list shows them"
        )
        self.wanted = wanted
        self.matches = matches


class SystemCallFailed(UuidfsError):
    """The kernel refused a step; what the step was to change is as it was."""

    ADVICE = {  # noqa: RUF012 - a constant table, never written to
        "EXDEV": "names and store must be on one file system",
        "ENOSPC": "free some space and run again",
        "EDQUOT": "free some space and run again",
        "EROFS": "the file system is read-only; remount it and run again",
        "EIO": "the disk reports an error; see the kernel's log",
    }

    def __init__(self, action: str, path: str, error: OSError) -> None:
        code = errno.errorcode.get(error.errno or 0, "")
        advice = _rights(path) if code in {"EACCES", "EPERM"} else self.ADVICE.get(code, "")
        why = f"{error.strerror or error}" + (f"; {advice}" if advice else "")
        super().__init__(f"cannot {action} {show(path)}: {why}", path, f"cannot {action} it: {why}")
        self.action = action
        self.errno = error.errno
        self.advice = advice


def meant(near: Iterable[str]) -> str:
    """What to add to a message about a name that does not exist; "" where no other is like it."""
    names = " or ".join(repr(show(name)) for name in near)
    return f"; did you mean {names}?" if names else ""


def _rights(path: str) -> str:
    """What helps where the kernel says that this is not permitted."""
    if os.geteuid() == 0:
        return "not even root may: see the logs of SELinux and AppArmor, and how it is mounted"
    for own in (os.environ.get("HOME", ""), os.environ.get("XDG_RUNTIME_DIR", "")):
        if own.strip("/") and path.startswith(f"{own}/"):  # a session's
            return f"see whose it is: ls -ld {show(path)}"
    return "run as root"


def show(path: str) -> str:
    """Return ``path`` for a message: on one line, control and undecodable bytes escaped."""
    if path.isprintable():
        return path
    raw = os.fsencode(path)
    text = raw.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
