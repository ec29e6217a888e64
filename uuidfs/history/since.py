"""Moments as people write them behind --since."""

from datetime import datetime

from uuidfs import durations
from uuidfs.errors import UsageError, show


def moment(text: str, now: float) -> float:
    """Seconds since the epoch: ``10min`` and the like before ``now``, a date, or ``@SECONDS``.

    A date without an offset is in the host's zone. Raises UsageError.
    """
    try:
        return now - durations.parse(text)
    except ValueError:
        pass
    try:
        if text.startswith("@"):
            return float(int(text[1:]))
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since: {show(text)!r} is neither a length of time such as 10min, 12h or 2d, "
            'nor a date such as 2026-11-25 or "2026-11-25 10:00"'
        ) from None
