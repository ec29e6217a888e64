"""Log lines of the daemon: a message and key=value fields, for people, grep and journald.

On stderr. Where stderr is the journal (systemd.exec(5), JOURNAL_STREAM) each line begins with
its syslog level, <4> or <6>, which journald takes off.
"""

import os
import select

from uuidfs.errors import show

_INFO, _WARNING = 6, 4


def info(message: str, **fields: object) -> None:
    """Something was done."""
    _write(_INFO, message, fields)


def warning(message: str, **fields: object) -> None:
    """Something could not be done; it is tried again, or a person has to look."""
    _write(_WARNING, message, fields)


def line(message: str, fields: dict[str, object]) -> str:
    """One line: the fields that are not empty, then the message."""
    words = [f"{key}={_quoted(str(value))}" for key, value in fields.items() if value != ""]
    return " ".join((*words, show(" ".join(message.split()))))


def _quoted(value: str) -> str:
    text = show(value)
    if text and not any(letter in text for letter in " \"'=\\"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


_dropped = 0  # lines since the last one that somebody read


def _write(level: int, message: str, fields: dict[str, object]) -> None:
    """Write a line, or drop it when nobody reads: a log must not hold up what it tells of."""
    global _dropped  # noqa: PLW0603 - of the process, as standard error is
    prefix = f"<{level}>" if _is_journal() else "uuidfs: "
    text = f"{prefix}{line(message, fields)}\n"
    if _dropped:
        text = f"{prefix}{_dropped} lines were dropped: nobody read them\n{text}"
    data = text.encode(errors="backslashreplace")
    try:
        # A pipe that is writable takes PIPE_BUF bytes at once (pipe(7)).
        if not select.select([], [2], [], 0)[1]:
            _dropped += 1
            return
        os.write(2, data if len(data) <= select.PIPE_BUF else data[: select.PIPE_BUF - 1] + b"\n")
    except OSError:
        return  # nobody reads it: no reason to end
    _dropped = 0


def _is_journal() -> bool:
    stream = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"
