"""What a running daemon tells of a domain's checkpoints."""

from typing import NamedTuple


class KnownCheckpoints(NamedTuple):
    """The checkpoints that a daemon knows of a domain; ``since`` when it runs, in nanoseconds
    since the epoch."""

    names: frozenset[str]
    since: int

    def has(self, entry: str, written: int) -> bool:
        """Whether libvirt knows a checkpoint by its file, or cannot know it.

        It reads metadata at its start only, and finds none in the wrong directory (9.0 and 11.3).
        So of one that was ``written`` before (nanoseconds), not to be known tells nothing.
        """
        return entry.removesuffix(".xml") in self.names or written <= self.since
