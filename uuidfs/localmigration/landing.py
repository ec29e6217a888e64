"""Lets a guest run at its destination as soon as its old process has died, and never before.

libvirt itself would let it run at once. Where the destination's daemon then dies before its
answer, the source's takes the hop for failed and lets the guest run again. QEMU's locks on images
keep the second one from running, so this is for guests that have none (image_locks). It is also for
those with a macvtap, of which the kernel lets only one of the two be up. They arrive paused, and
who sees that the old process is gone lets the new one run. Should that one be killed, the guest
stands until it is recovered.
"""

import threading
import time
from collections.abc import Callable

from lxml import etree

from uuidfs.localmigration import devices, image_locks
from uuidfs.localmigration.processes import process_of

_POLL = 0.1  # seconds between two looks whether the hop is over; the process's end wakes at once

_LATE = 2.0  # seconds for what is left to do once libvirt says that the hop is over

_SOON = 0.002  # seconds between two attempts, once it has ended


def needed(disks: etree._Element, cards: etree._Element) -> bool:
    """Whether a guest has to arrive paused: by the XML with its disks, and by the live one, which
    tells what its cards really are."""
    return not image_locks.held(disks) or devices.arrives_paused(cards)


class Landing:
    """One hop's; a thread of its own, since every millisecond here is the guest's pause."""

    def __init__(self, outgoing: str, resume: Callable[[], bool]) -> None:
        """``outgoing``: the pid file of the process that the guest leaves. ``resume`` tells
        whether it is done: it is not while libvirt has not ended the hop at the destination."""
        self._source = process_of(outgoing)
        self._resume = resume
        self._over = threading.Event()
        self._landed = False
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _wait(self) -> None:
        if self._source is None:
            return
        with self._source:
            while not self._over.is_set():
                if self._source.died(_POLL):
                    self._landed = self._resume()
                    if self._landed:
                        return
                    self._over.wait(_SOON)

    def end(self, *, moved: bool) -> None:
        """The hop is over; ``moved``: libvirt says that the guest is there, and its source gone."""
        self._over.set()
        self._thread.join()
        deadline = time.monotonic() + _LATE
        while moved and not self._landed and time.monotonic() < deadline:
            self._landed = self._resume()
            time.sleep(_SOON)
