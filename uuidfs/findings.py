"""What ``uuidfs check`` finds, in words, and the command that helps.

``check`` looks, this puts it for people: no step's or promise's code alone.
"""

import shlex
from typing import NamedTuple

from uuidfs.errors import UuidfsError, show
from uuidfs.layout.places import Kind, Layout
from uuidfs.layout.trash_label import Reason
from uuidfs.plan.draft import IF_IT_STAYS
from uuidfs.plan.steps import Op, Step
from uuidfs.survey.scan import Problem

REPAIR = "uuidfs check --repair"

_KNOWN = "libvirt still knows the domain; run: "

_CUT_OFF = "a run that was cut off has left it"

_STEPS = {
    Op.FOLD: "it is a plain file, and belongs behind a link",
    Op.REFOLD: "libvirt has written it anew, over its link",
    Op.UNFOLD: "it is behind a link, and belongs at its name",
    Op.ADD_LINK: "its link is missing",
    Op.POINT_LINK: "its link points at another file than its name says",
    Op.DROP_LINK: "it is a link under a name that its domain does not have any more",
    Op.MARK: "another domain has taken the name of this log",
    Op.SHARE: "a rename was cut off before its file had both names",
    Op.DROP_STORE: "a former name of this file is left in the store",
    Op.DISCARD: _CUT_OFF,
    Op.TRASH: "no name refers to it",
    Op.REFILE: "a rename has put this checkpoint where libvirt does not look",
    Op.RETIRE: "libvirt has deleted this checkpoint",
    Op.GIVE_BACK: "a run that was cut off has taken this file from its name",
    Op.RECOVER: "its link leads nowhere, and its file is in the trash",
    Op.RECORD: "the store has not noted this directory",
    Op.GIVE_ONCE: "its domain is marked for one autostart, and the mark is missing",
    Op.DROP_ONCE: "it marks a name for one autostart that its domain does not have any more",
    Op.NOTE_ONCE: "the store has not noted this mark for one autostart",
    Op.PRUNE: "it is an empty directory, and of no use",
}

_TRASH = {
    Reason.UNDEFINED: "its domain is undefined",
    Reason.DELETED: "libvirt has deleted it",
    Reason.ROTATED_AWAY: "it has fallen off the end of its log's rotations",
    Reason.LEFT_OVER: _CUT_OFF,
    Reason.UNNAMED: "no name refers to it",
    Reason.RETENTION: "its domain is gone, and its time is over",
    Reason.LOST_A_RENAME: "it is of the name that lost a rename which was cut in half",
    Reason.SUPERSEDED: "libvirt has written a newer one in the right place",
}


class Finding(NamedTuple):
    """A promise that does not hold at ``path``; ``repairable`` by ``check --repair``.

    ``advice`` is for people, and ends with ``command``, "" where only they can tell what to do.
    ``name`` is the domain's, None where it is of none or none is known.
    """

    promise: str
    path: str
    problem: str
    advice: str
    repairable: bool
    uuid: str | None = None
    name: str | None = None
    command: str = ""


def to_do(layout: Layout, step: Step, name: str | None) -> Finding:
    """What a conversion would mend."""
    words = _STEPS[step.op]
    if step.op is Op.TRASH and step.reason is not None:
        words = f"{_TRASH[step.reason]}; it belongs in the trash"
    promise = "P6" if step.op in {Op.DISCARD, Op.PRUNE} else "P3" if step.op is Op.TRASH else "P2"
    advice = f"run: {REPAIR}"
    return Finding(promise, step.path(layout), words, advice, True, step.uuid, name, REPAIR)


def of_error(
    promise: str, error: UuidfsError, uuid: str | None = None, name: str | None = None
) -> Finding:
    """What could not be looked at, or mended."""
    command = f"ls -ld {quoted(error.path)}" if error.path else ""
    advice = getattr(error, "advice", "") or (f"look: {command}" if command else "run it again")
    reason = error.reason.removesuffix(f"; {advice}")
    return Finding(promise, error.path, reason, advice, False, uuid, name, command)


def of_scan(layout: Layout, problem: Problem) -> Finding:
    """A file of libvirt's that says nothing, or something else than its name."""
    name = problem.name
    config = f"{layout.names[Kind.CONFIG].path}/{name}.xml"
    if name is not None and problem.path == config and _knows(layout, name=name):
        command = from_libvirt(layout, name)
        advice = _KNOWN + command
        return Finding("P1", problem.path, problem.reason, advice, False, None, name, command)
    command = f"mv -- {quoted(problem.path)} /root/"
    advice = f"put it right, or if nobody needs it: {command}"
    return Finding("P1", problem.path, problem.reason, advice, False, None, problem.name, command)


def stranger(path: str) -> Finding:
    """Something in a store that uuidfs did not put there."""
    command = f"mv -- {quoted(path)} /root/"
    advice = f"find out who did, then: {command}"
    return Finding(
        "P3", path, "uuidfs did not put this into its store", advice, False, command=command
    )


def left_alone(problem: Problem, uuid: str, name: str | None, *, rivals: bool) -> Finding:
    """What a conversion leaves alone, and says why."""
    if rivals:
        what = problem.reason.removesuffix(f"; {IF_IT_STAYS}")
        return Finding("P6", problem.path, what, IF_IT_STAYS, True, uuid, name, REPAIR)
    command = f"ls -ld {quoted(problem.path)}"
    advice = f"only you can tell what belongs there; look: {command}"
    return Finding("P1", problem.path, problem.reason, advice, False, uuid, name, command)


def damaged(
    layout: Layout, promise: str, path: str, problem: str, uuid: str, name: str | None
) -> Finding:
    """A config in the store that is not its domain's. libvirt still has it in memory, where it
    runs and has not been restarted since."""
    known = _knows(layout, uuid=uuid)
    if known is not None:
        command = from_libvirt(layout, known)
        advice = _KNOWN + command
    else:
        command = f"install -m 600 BACKUP {quoted(path)}"
        older = f"uuidfs trash list {quoted(name or uuid)}"
        advice = f"no running libvirt knows it; older ones: {older}; or with a backup: {command}"
    return Finding(promise, path, problem, advice, False, uuid, name, command)


def shared(layout: Layout, uuid: str, name: str | None, inode: int, other: str) -> Finding:
    """One file of two domains."""
    stores = " ".join(sorted({layout.stores[kind].path for kind in Kind}))
    command = f"find {stores} -inum {inode}"
    return Finding(
        "P5",
        layout.uuid_path(Kind.CONFIG, uuid),
        f"a file of this domain (inode {inode}) is one of {other} as well",
        f"each needs one of its own, the other's from a backup; to see which: {command}",
        False,
        uuid,
        name,
        command,
    )


def misnamed(layout: Layout, path: str, uuid: str, link: str, inside: str) -> Finding:
    """A link that is called otherwise than its config says."""
    above = layout.names[Kind.CONFIG].path
    command = f"mv -n -- {quoted(f'{above}/{link}.xml')} {quoted(f'{above}/{inside}.xml')}"
    return Finding(
        "P2",
        path,
        f"{link!r} links to a config that names {inside!r}",
        f"somebody renamed the link; if that was a mistake: {command}",
        False,
        uuid,
        link,
        command,
    )


def from_libvirt(layout: Layout, name: str) -> str:
    """The command by which libvirt writes its config anew from memory, and uuidfs files it."""
    uri = "" if layout.uri == "qemu:///system" else f" -c {quoted(layout.uri)}"
    word = quoted(name)
    return (
        f"virsh{uri} dumpxml --inactive --security-info {word} | virsh{uri} define /dev/stdin "
        f"&& uuidfs{uri} convert {word}"
    )


def _knows(layout: Layout, *, uuid: str = "", name: str = "") -> str | None:
    """The name of a domain that a running libvirt knows; None where none runs, or it does not say.

    Rarely asked for: at a boot, before libvirt runs, the imports alone would take longer.
    """
    from uuidfs.host import libvirtd

    try:
        if uuid:
            return libvirtd.name_of(layout, uuid)
        return name if libvirtd.has_name(layout, name) else None
    except UuidfsError:
        return None


def quoted(text: str) -> str:
    """One word for a shell; with control characters for bash and zsh only, which read $'...'."""
    if text.isprintable():
        return shlex.quote(text)
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{show(escaped)}'"
