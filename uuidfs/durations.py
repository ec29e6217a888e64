"""Lengths of time as people write them: ``50ms``, ``10s``, ``10min``, ``12h``, ``30d``, ``2w``."""

import re

FOREVER = "forever"


_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "min": 60.0, "s": 1.0, "ms": 0.001}

_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(ms|s|min|h|d|w)")


def parse(text: str) -> float:
    """Seconds; raises ValueError, with a reason that can be shown, for anything else."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(
            f"{text!r} is not a length of time; write a number and one of "
            'ms, s, min, h, d, w, such as "30d"'
        )
    return float(match[1]) * _SECONDS[match[2]]


def parse_or_forever(text: str) -> float | None:
    """As :func:`parse`; None for ``forever``."""
    return None if text == FOREVER else parse(text)


def words(seconds: float | None) -> str:
    """The shortest text that :func:`parse_or_forever` reads as the same length."""
    if seconds is None:
        return FOREVER
    for unit, length in _SECONDS.items():
        count = round(seconds / length)
        if count and count * length == seconds:
            return f"{count}{unit}"
    return f"{seconds * 1000:.12g}ms" if seconds else "0s"
