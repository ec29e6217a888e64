"""What the reconciler says of trouble: once an hour, whatever the number of domains."""

import errno
import os
from collections.abc import Mapping

import pytest

from uuidfs.convert.results import DomainResult, RunResult
from uuidfs.layout.connections import system
from uuidfs.reconcile.interface import Listener
from uuidfs.reconcile.tally import REPEAT, Tally

FULL = f"cannot move /etc/libvirt/qemu/%s.xml: {os.strerror(errno.ENOSPC)}"


class Heard:
    """A listener that remembers, a tally, and a clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.said: list[str] = []
        self.now = 1000.0
        self.tally = Tally(Listener(lambda *_: None, self._warning, lambda _: None))
        monkeypatch.setattr("uuidfs.reconcile.tally.time.monotonic", lambda: self.now)

    def _warning(self, message: str, _fields: Mapping[str, object]) -> None:
        self.said.append(message)

    def passed(self, *errors: str | None) -> None:
        domains = tuple(
            DomainResult(f"vm{number}", str(number), error=error, failed=error is not None)
            for number, error in enumerate(errors)
        )
        self.tally.tell(RunResult("convert", system("/"), domains))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    return Heard(monkeypatch)


def test_a_full_disk_is_one_warning_for_all_domains_and_passes(heard: Heard) -> None:
    for _ in range(5):
        heard.passed(*(FULL % number for number in range(100)))
    assert heard.said == [FULL % 0]
    assert heard.tally.total_errors == 500
    heard.now += REPEAT
    heard.passed(FULL % 7)
    assert heard.said == [FULL % 0, FULL % 7]


def test_different_trouble_of_two_domains_is_told_twice(heard: Heard) -> None:
    heard.passed("a strange file", "a strange file")
    heard.passed("a strange file", "another one")
    assert heard.said == ["a strange file", "a strange file", "another one"]


def test_trouble_that_comes_back_after_a_clean_pass_is_told_again(heard: Heard) -> None:
    for error in (FULL % 0, None, FULL % 0):
        heard.passed(error)
    assert heard.said == [FULL % 0, FULL % 0]
