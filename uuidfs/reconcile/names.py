"""Which names the reconciler knows, from its last full pass and from what it folded since."""

from collections.abc import Iterable


class Names:
    """Which names each UUID is bound to, as far as the last pass and later folds know."""

    def __init__(self) -> None:
        self._of: dict[str, tuple[str, ...]] = {}
        self._uuids: dict[str, str] = {}
        self._learned: dict[str, tuple[str, ...]] = {}

    def __len__(self) -> int:
        return len(self._uuids)

    def replace(self, names: Iterable[tuple[str, Iterable[str]]]) -> None:
        """Take over what a pass found; what was learned while it ran is newer."""
        self._of = {uuid: tuple(of) for uuid, of in names}
        self._of.update(self._learned)
        self._learned = {}
        self._uuids = {name: uuid for uuid, of in self._of.items() for name in of}

    def learn(self, name: str, uuid: str) -> None:
        """Note a domain that was folded for the first time."""
        if self._of.get(uuid) != (name,):
            self._of[uuid] = self._learned[uuid] = (name,)
            self._uuids[name] = uuid

    def of(self, uuid: str) -> tuple[str, ...]:
        """The names of a UUID, none when it is new."""
        return self._of.get(uuid, ())

    def uuid(self, name: str) -> str | None:
        """The UUID that the name was bound to."""
        return self._uuids.get(name)

    def rivals(self) -> list[str]:
        """UUIDs with more than one name."""
        return [uuid for uuid, names in self._of.items() if len(names) > 1]
