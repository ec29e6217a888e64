"""Log lines of the daemon: a message and key=value fields, for people, grep and journald.

On stderr. Where stderr is the journal (systemd.exec(5), JOURNAL_STREAM) each line begins with
its syslog level, <4> or <6>, which journald takes off.
"""

import os
import sys

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


def _write(level: int, message: str, fields: dict[str, object]) -> None:
    prefix = f"<{level}>" if _is_journal() else "uuidfs: "
    try:
        sys.stderr.write(f"{prefix}{line(message, fields)}\n")
        sys.stderr.flush()
    except OSError:
        return  # nobody reads it: no reason to end


def _is_journal() -> bool:
    stream = os.environ.get("JOURNAL_STREAM", "")
    try:
        found = os.fstat(2)
    except OSError:
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"
