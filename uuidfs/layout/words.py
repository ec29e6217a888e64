"""What people write for a domain: the beginning of a UUID, or nearly a name. Pure."""

import re
from collections.abc import Iterable

from uuidfs.layout.names import NOBODY

SHORT = 8
"""Digits of a short UUID at least: what people have on a screen stays true for some time."""

_BEGINNING = re.compile(r"[0-9A-Fa-f]{8}[0-9A-Fa-f-]*")

_ALIKE = 0.6  # of two names, as difflib measures


def beginning_so(uuids: Iterable[str], word: str) -> list[str]:
    """Those that begin with ``word``, of 8 digits or more, with or without hyphens; sorted."""
    if _BEGINNING.fullmatch(word) is None:
        return []
    digits = word.replace("-", "").lower()
    return sorted(
        uuid for uuid in uuids if uuid != NOBODY and uuid.replace("-", "").startswith(digits)
    )


def alike(word: str, names: Iterable[str]) -> list[str]:
    """The names, at most three, that somebody may have meant who wrote ``word``; best first."""
    import difflib  # for an error only: most runs do without

    lowered: dict[str, str] = {}
    for name in sorted(names):
        lowered.setdefault(name.lower(), name)
    found = difflib.get_close_matches(word.lower(), lowered, n=3, cutoff=_ALIKE)
    return [lowered[each] for each in found]


def short_uuids(uuids: Iterable[str]) -> dict[str, str]:
    """UUID -> its beginning, of 8 digits or more, which none of the others has.

    As git shortens hashes. A beginning never ends with a hyphen.
    """
    return {
        uuid: uuid[: len(short) + 1] if short.endswith("-") else short
        for uuid, short in shortest(uuids).items()
    }


def shortest(texts: Iterable[str]) -> dict[str, str]:
    """Each text -> its beginning, of 8 letters or more, which none of the others has."""
    ordered = sorted(set(texts))
    short = {}
    for at, text in enumerate(ordered):
        neighbours = (*ordered[max(at - 1, 0) : at], *ordered[at + 1 : at + 2])
        same = max((_common(text, other) for other in neighbours), default=0)
        short[text] = text[: max(SHORT, same + 1)]
    return short


def _common(one: str, other: str) -> int:
    """How many letters of both are equal from the beginning on."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
