"""A run in which something happens at one of the points that files/change.py tells of."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from uuidfs.files import change


class Killed(BaseException):
    """Ends a run at a point, as SIGKILL does."""


def die() -> None:
    raise Killed


@contextmanager
def at_point(
    monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None] = die
) -> Iterator[list[str]]:
    """``act`` is called at the ``number``-th point, counted from 1; gives the points that came."""
    seen: list[str] = []

    def trace(point: str) -> None:
        seen.append(point)
        if len(seen) == number:
            act()

    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(change, "trace", trace)
        yield seen
