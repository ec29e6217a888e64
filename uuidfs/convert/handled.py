"""How far a run is, counted across its processes."""

import mmap
from collections.abc import Sequence

from uuidfs.convert.results import Interrupted


class Handled:
    """A byte for each domain, in memory that the processes of a run share: a store of one byte
    cannot be cut in half by another process, as adding to a number could be."""

    def __init__(self, uuids: Sequence[str]) -> None:
        self.total = len(uuids)
        self._numbers = {uuid: number for number, uuid in enumerate(uuids)}
        self._bytes = mmap.mmap(-1, max(self.total, 1))

    def add(self, uuid: str) -> None:
        """This one is done."""
        self._bytes[self._numbers[uuid]] = 1

    @property
    def done(self) -> int:
        """How many are."""
        return self._bytes[:].count(1)

    def interrupted(self) -> Interrupted:
        """What to raise for a Ctrl-C."""
        return Interrupted(self.done, self.total)
