"""What to do about one domain's firmware; a pure function of a view.

A plan never gives a file to a domain of which it is not sure that it is the domain's, and never
takes a name away from which a process may have the file open.
"""

from enum import Enum
from typing import NamedTuple

from uuidfs.files.entry import Entry
from uuidfs.firmware.names import Firmware
from uuidfs.firmware.view import File, View
from uuidfs.layout.places import Place


class Mode(Enum):
    """Whose definitions are changed. The value is what the configuration says."""

    OFF = "off"
    """Nobody's."""
    RENAMED = "renamed"
    """Of domains whose files are called after another name: a new domain could get them."""
    ALL = "all"
    """Everybody's."""


class Op(Enum):
    """What a step does."""

    LINK = "link"
    """Give the file a second name, the one that is made of the UUID."""
    BRING = "bring"
    """The same from the kept link, where libvirt has deleted the file."""
    DEFINE = "define"
    """Have libvirt name that path in the definition, in snapshots and in a managed save."""
    REMOVE = "remove"
    """Take the former name away."""


class Step(NamedTuple):
    """One step; ``found`` is what has to be at ``entry``, and ``path`` what libvirt says now."""

    op: Op
    kind: Firmware
    place: Place
    entry: str
    own: str
    own_path: str
    path: str = ""
    implied: bool = False
    found: Entry | None = None

    def describe(self) -> str:
        """For a dry run."""
        own, entry = f"{self.place.path}/{self.own}", f"{self.place.path}/{self.entry}"
        return {
            Op.LINK: f"give {entry} the name {self.own}",
            Op.BRING: f"bring back {own}, which libvirt has deleted",
            Op.DEFINE: f"have libvirt use {own} in place of {self.path}",
            Op.REMOVE: f"remove the name {entry}",
        }[self.op]


class Plan(NamedTuple):
    """The steps for one domain, in their order; ``problem`` is why something stays as it is."""

    uuid: str
    name: str
    steps: tuple[Step, ...] = ()
    problem: str | None = None


def plan_convert(view: View, mode: Mode) -> Plan:
    """The way to paths that are made of the UUID."""
    steps: list[Step] = []
    problems: list[str] = []
    for file in view.files:
        if mode is Mode.OFF:
            continue
        if file.entry == file.own:
            steps += _rest(file)
            continue
        if not view.persistent:
            continue  # a transient domain has no definition that could be changed
        if not _concerned(view, file, mode):
            continue
        why = _why_not(view, file)
        if why is not None:
            problems.append(f"{file.place.path}/{file.entry}: {why}")
            continue
        steps += _way(view, file)
    return Plan(view.uuid, view.name, tuple(steps), "; ".join(problems) or None)


def _concerned(view: View, file: File, mode: Mode) -> bool:
    if mode is Mode.ALL or file.at_own is not None:
        return True
    if file.others and _whose(view, file) is _Whose.STRANGERS:
        return True  # while that one runs, this one could not even start
    if file.at_entry is None and file.kept is not None and file.renamed:
        return True  # another domain has taken it along
    if file.path.rpartition("/")[2] != file.entry:
        return True  # renamed back, and the definition says what it was called meanwhile
    return file.word != view.name or bool(file.twins)  # the latter after a start since a rename


class _Whose(Enum):
    """Whose the file at the path is."""

    MINE = "mine"
    STRANGERS = "strangers"
    UNKNOWN = "unknown"
    """Of two domains that name it, or beside a file under the domain's UUID."""


def _whose(view: View, file: File) -> _Whose:
    at_own, found = file.at_own, file.at_entry
    if found is None or found.same_inode(at_own):
        return _Whose.MINE
    if file.owner is not None:
        if file.owner != view.uuid:
            return _Whose.STRANGERS
        return _Whose.MINE if at_own is None else _Whose.UNKNOWN
    if at_own is not None:
        noted = file.kept is not None and file.kept.same_inode(at_own)
        return _Whose.STRANGERS if noted and file.others else _Whose.UNKNOWN
    return _Whose.MINE if not file.others or file.others_fresh else _Whose.UNKNOWN


def _why_not(view: View, file: File) -> str | None:
    """Why the domain's file cannot be told, or not be moved now."""
    for entry, found in ((file.entry, file.at_entry), (file.own, file.at_own)):
        if found is not None and not found.is_file:
            return f"{entry} is {found.noun}"
    whose = _whose(view, file)
    if whose is _Whose.MINE and file.at_entry is not None and file.open_by and view.running:
        return f"{_names(file.open_by)} has it open, too; stop one of them"
    if whose is not _Whose.UNKNOWN:
        return None
    if file.at_own is not None:
        return (
            f"the domain may have used this file since {file.own} was made; while it is off, "
            "remove the one that is not needed"
        )
    return (
        f"{_names(file.others)} has the same path, and nothing tells whose the file is; give "
        "one of them a copy under a path of its own, while both are off (virsh edit)"
    )


def _names(names: tuple[str, ...]) -> str:
    return " and ".join(repr(name) for name in names)


def _step(file: File, op: Op, found: Entry | None) -> Step:
    return Step(
        op,
        file.kind,
        file.place,
        file.entry,
        file.own,
        file.own_path,
        file.path,
        file.implied,
        found,
    )


def _way(view: View, file: File) -> list[Step]:
    steps: list[Step] = []
    mine = file.at_entry is not None and _whose(view, file) is _Whose.MINE
    if file.at_own is None:
        if mine:
            steps.append(_step(file, Op.LINK, file.at_entry))
        elif file.kept is not None and (
            file.at_entry is not None or file.renamed or file.word != view.name
        ):  # else somebody has removed it, and wants a new one
            steps.append(_step(file, Op.BRING, file.kept))
    steps.append(_step(file, Op.DEFINE, None))
    if mine and not file.is_open:
        steps.append(_step(file, Op.REMOVE, file.at_entry))
    return steps + (_rest(file) if mine or file.at_entry is None else [])


def _rest(file: File) -> list[Step]:
    """What a kill, or a running domain, has left: former names of the file."""
    directory = file.own_path.rpartition("/")[0]
    return [
        _step(file, Op.REMOVE, twin.found)._replace(
            entry=twin.entry, path=f"{directory}/{twin.entry}"
        )
        for twin in file.twins
        if not twin.is_open
    ]


def plan_revert(view: View) -> Plan:
    """The way back: paths that are made of the name, as libvirt chooses them."""
    steps: list[Step] = []
    problems: list[str] = []
    for file in view.files:
        back = file.back
        if view.persistent and file.entry != file.own and _is_left(view, file):
            # By a revert that was killed, or while the domain ran.
            steps.append(
                _step(file, Op.REMOVE, file.at_own)._replace(
                    entry=file.own, own=file.entry, own_path=file.path, path=file.own_path
                )
            )
        if file.entry != file.own or not view.persistent or back is None:
            continue
        if back.taken is not None:
            problems.append(f"{file.place.path}/{file.own}: {back.taken}")
            continue
        step = _step(file, Op.LINK, file.at_own)._replace(own=back.entry, own_path=back.path)
        if file.at_own is not None and not back.is_linked:
            steps.append(step)
        steps.append(step._replace(op=Op.DEFINE, found=None))
        if file.at_own is not None and not file.is_open:
            steps.append(step._replace(op=Op.REMOVE))
    return Plan(view.uuid, view.name, tuple(steps), "; ".join(problems) or None)


def _is_left(view: View, file: File) -> bool:
    """Whether the name that is made of the UUID is a second one, which nobody uses."""
    return (
        file.at_own is not None
        and not view.running
        and not file.implied
        and file.at_own.same_inode(file.at_entry)
    )
