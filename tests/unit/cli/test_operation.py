"""Signals of an operation."""

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from uuidfs.cli.operation import handled

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_each_of_them_cancels_and_is_given_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    cancelled = threading.Event()
    with handled(cancelled):
        assert not cancelled.is_set()
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert cancelled.wait(60)
    assert signal.getsignal(number) == before


def test_under_nohup_a_lost_connection_is_still_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    cancelled = threading.Event()
    with handled(cancelled):
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert not cancelled.is_set()
