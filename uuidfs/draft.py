"""A plan in the making."""

from uuidfs.fs import Entry
from uuidfs.layout import Kind, Layout
from uuidfs.scan import Problem
from uuidfs.steps import Op, Plan, Step
from uuidfs.view import Pair, View


class Draft:
    """Collects steps and problems about one view."""

    def __init__(self, layout: Layout, view: View) -> None:
        self.layout = layout
        self.view = view
        self.steps: list[Step] = []
        self.problems: list[Problem] = []

    def finish(self) -> Plan:
        problems = (*self.view.problems, *self.problems)
        return Plan(self.view.uuid, self.view.name, tuple(self.steps), problems)

    def leave(self, kind: Kind, subdir: str, entry: str, reason: str) -> None:
        path = f"{self.layout.name_place(kind, subdir).path}/{entry}"
        self.problems.append(Problem(path, reason, self.view.name))

    def add(self, op: Op, pair: Pair, expect: Entry | None, other: str = "") -> None:
        self.steps.append(
            Step(
                op,
                pair.kind,
                self.view.uuid,
                pair.subdir,
                pair.entry,
                pair.store_entry,
                expect,
                other,
            )
        )

    def in_store(  # a step about a store's name only
        self, op: Op, kind: Kind, entry: str, expect: Entry, other: str = "", *, room: bool = False
    ) -> None:
        self.steps.append(
            Step(op, kind, self.view.uuid, store_entry=entry, expect=expect, other=other, room=room)
        )
