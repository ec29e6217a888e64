"""What a survey finds of one UUID: what lies at each of its names and in the store."""

from typing import NamedTuple

from uuidfs.files.entry import Entry
from uuidfs.layout.places import Kind
from uuidfs.survey.scan import Problem


class Leftover(NamedTuple):
    """A temporary name that a kill left in a store; ``twin``: another name has its inode."""

    kind: Kind
    waiting: bool  # in the waiting room by-uuid/by-uuid
    entry: str
    found: Entry
    twin: bool = False


class Pair(NamedTuple):
    """A name path and the UUID path that belongs to it, and what lies at each.

    ``why_not`` says why the name's file must not be moved; the plan leaves it alone. ``trashed``
    is the label under which the trash has the file of a link that leads nowhere. ``inside`` is
    the inode of the domain's directory, for metadata.
    """

    kind: Kind
    subdir: str  # the domain's directory for metadata, else ""
    entry: str
    at_name: Entry | None
    store_entry: str
    in_store: Entry | None
    why_not: str | None = None
    trashed: str | None = None
    inside: int = 0


class LogName(NamedTuple):
    """A log's name path: which rotation it is by its name, and what lies there."""

    entry: str
    suffix: str
    at_name: Entry


class Once(NamedTuple):
    """A domain's mark for one autostart, and the store's note of it, a hard link to the mark.

    ``entry`` is where libvirt would have it, "" without a name, ``at_name`` what lies there:
    none where it is another UUID's by that one's note (``foreign``). ``former`` is where it was
    when it was noted, and ``at_former`` what lies there now. Without a UUID, ``dangling`` are marks
    of names that no domain has, and that no note claims. ``unknown``: libvirt itself knows nothing
    of the mark, so it is one that a domain of this name has left.
    """

    entry: str = ""
    at_name: Entry | None = None
    note: Entry | None = None
    former: str = ""
    at_former: Entry | None = None
    foreign: bool = False
    unknown: bool = False
    dangling: tuple[tuple[str, Entry], ...] = ()


class View(NamedTuple):
    """All that concerns one UUID. ``name`` is None when nothing binds the UUID to a name.

    ``rivals`` are two or more names whose configs carry this UUID: a rename in flight, or
    cut in half; ``linked`` are those whose config is our link. ``away`` are links to this
    domain's logs under other names. ``taken`` are names of this domain's logs that link to
    another UUID's. ``moved`` is the mark that another domain took this one's link. ``strays``
    are further links to its metadata, in directories of names that no domain has.
    ``complete`` is false when something could not be read that might still refer to this UUID's
    files; ``orphan_safe`` also when QEMU's user could have made it look nameless; ``logs_known``
    when a name of a log could not be read. ``proven``
    are the kinds of metadata whose directory at the name is known to be the domain's: only there
    a missing name means that libvirt removed it. ``unrecorded`` are those of them, with the
    directory's inode, that the store does not know yet; ``homes`` the inodes that it knows.
    ``once`` is None where marks for one autostart are left alone, whatever lies there.
    ``set_aside``: a local migration has taken the domain's metadata out of libvirt, and puts it
    back; so a missing name does not mean that somebody deleted it.
    """

    uuid: str
    name: str | None
    source: str | None  # "config", "status" or "hook"
    rivals: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    config: Pair | None = None
    logs: tuple[LogName, ...] = ()
    log_store: tuple[tuple[str, Entry], ...] = ()
    away: tuple[LogName, ...] = ()
    taken: tuple[LogName, ...] = ()
    moved: Entry | None = None
    metadata: tuple[Pair, ...] = ()
    misfiled: tuple[Pair, ...] = ()
    strays: tuple[Pair, ...] = ()
    store_dirs: tuple[Kind, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    problems: tuple[Problem, ...] = ()
    complete: bool = True
    logs_known: bool = True
    orphan_safe: bool = True
    proven: frozenset[Kind] = frozenset()
    unrecorded: tuple[tuple[Kind, int], ...] = ()
    homes: frozenset[int] = frozenset()
    once: Once | None = None
    set_aside: bool = False
