"""Whether there is room for a guest's second process: a trip needs its memory a second time.

Without room the OOM killer decides, and it takes the largest process, which is the guest.
"""

import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from uuidfs.localmigration.processes import Process

OVERHEAD = 96 << 20  # bytes: what a fresh QEMU process and the peer daemon need themselves

SHORT = "memory:"  # how each shortage begins

_MIB = 1 << 20

_NO_LIMIT = 1 << 60  # bytes; control groups version 1 say 2^63 less a page for "none"

_DOMAIN = re.compile(r"(machine-)?qemu.*\.(scope|libvirt-qemu)")

_NODES = "/sys/devices/system/node"


class Need(NamedTuple):
    """Bytes that one more process of a guest takes: ordinary memory, and huge pages by their size
    in KiB. ``nodes`` are those of the host that it is bound to, none when it is not."""

    ordinary: int
    huge: dict[int, int]
    nodes: tuple[int, ...] = ()

    def at(self, place: "Place") -> int:
        """How many bytes of it are of the kind that a place has."""
        return self.huge.get(place.page, 0) if place.page else self.ordinary


def need_of(process: Process, live: etree._Element) -> Need:
    """What a second process needs: what this one has, or all that it may have.

    The latter where memory is locked, allocated at the start or of huge pages.
    """
    has = process.memory()
    most = _kib(live.find("memory")) << 10
    huge = dict(_huge(live, most))
    backing = live.find("memoryBacking")
    at_once = backing is not None and (
        backing.find("locked") is not None
        or backing.find("allocation[@mode='immediate']") is not None
    )
    ordinary = max(has, most) if at_once else has
    if huge:
        ordinary = max(ordinary - sum(huge.values()), 0)
    return Need(ordinary + OVERHEAD, huge, _bound_to(live))


class Place(NamedTuple):
    """Where memory is taken from, and the bytes that are free there.

    ``page``: the size of its huge pages in KiB, 0 for ordinary memory. ``nodes`` and ``group``
    are empty for the whole host.
    """

    where: str
    free: int
    page: int = 0
    nodes: tuple[int, ...] = ()
    group: str = ""


def places(need: Need, process: Process) -> list[Place]:
    """Everywhere that a second process of this one takes memory from, as it is now."""
    return [
        *_room(process, need.nodes),
        *(
            Place(f"huge pages of {page} KiB", _free_huge(page, need.nodes), page, need.nodes)
            for page in need.huge
        ),
    ]


def shortages(need: Need, process: Process) -> list[str]:
    """What there is too little of for a second process, with both figures."""
    found = []
    for place in places(need, process):
        wanted = need.at(place)
        if place.free >= wanted:
            continue
        if place.page:
            where = f" of node {_comma(place.nodes)}" if place.nodes else ""
            found.append(
                f"{SHORT} its second process needs {wanted // _MIB} MiB of {place.where}, "
                f"and {place.free // _MIB} MiB{where} are free"
            )
        else:
            found.append(
                f"{SHORT} its second process may need {wanted // _MIB} MiB, "
                f"and {place.where} has {max(place.free, 0) // _MIB} MiB left"
            )
    return found


def file_shortage(live: etree._Element, directory: str = "/run") -> list[str]:
    """What there is too little of for memory that is a file: in the peer it is one below /run, a
    tmpfs, and a guest that writes to a page for which there is no room dies (mmap(2), SIGBUS).

    Raises OSError.
    """
    if live.find("memoryBacking/source[@type='file']") is None:
        return []
    wanted = _kib(live.find("memory")) << 10
    room = os.statvfs(directory)
    free = room.f_bavail * room.f_frsize
    if free >= wanted:
        return []
    return [
        f"{SHORT} its memory is a file, of {wanted // _MIB} MiB below {directory} in the peer, and "
        f"{free // _MIB} MiB are free there"
    ]


def _kib(element: etree._Element | None) -> int:
    """libvirt gives sizes in KiB, whatever they were defined in."""
    return int(element.text or "0") if element is not None else 0


def _huge(live: etree._Element, most: int) -> Iterator[tuple[int, int]]:
    """Page sizes in KiB and the bytes of each."""
    pages = live.find("memoryBacking/hugepages")
    if pages is None:
        return
    cells = {c.get("id"): int(c.get("memory", "0")) << 10 for c in live.iterfind("cpu/numa/cell")}
    found: dict[int, int] = {}
    # Those of single cells first: the one without is for the rest.
    listed = sorted(pages.findall("page"), key=lambda page: page.get("nodeset") is None)
    for page in listed or [etree.Element("page")]:
        size = int(page.get("size") or _default_huge())
        on = numbers(page.get("nodeset", ""))
        part = sum(cells.get(str(n), 0) for n in on) if on else most - sum(found.values())
        found[size] = found.get(size, 0) + part
    yield from found.items()


def _default_huge() -> int:
    return _field("/proc/meminfo", "Hugepagesize")


def _bound_to(live: etree._Element) -> tuple[int, ...]:
    memory = live.find("numatune/memory[@mode='strict']")
    return numbers(memory.get("nodeset", "")) if memory is not None else ()


def numbers(text: str) -> tuple[int, ...]:
    """A set of nodes as libvirt and the kernel write it: 0-2,5."""
    found: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found += range(int(first), int(last or first) + 1)
    return tuple(found)


def _comma(nodes: tuple[int, ...]) -> str:
    return ",".join(str(node) for node in nodes)


def _room(process: Process, nodes: tuple[int, ...]) -> Iterator[Place]:
    """Of ordinary memory: the host, its nodes, and each control group with a limit."""
    yield Place("the host", _field("/proc/meminfo", "MemAvailable") << 10)
    if nodes:
        fields = ("MemFree", "Active(file)", "Inactive(file)", "SReclaimable")
        free = sum(_field(f"{_NODES}/node{n}/meminfo", name) for n in nodes for name in fields)
        yield Place(f"node {_comma(nodes)}", free << 10, nodes=nodes)
    with Process(os.getpid()) as ours:
        seen = dict.fromkeys([*_groups(process), *_groups(ours)])
    for group in seen:
        free_here = _free_in(group)
        if free_here is not None:
            yield Place(f"the control group {group}", free_here, group=group)


def _field(path: str, name: str) -> int:
    """A field of /proc/meminfo, or of a node's, in KiB."""
    for line in _read(path).splitlines():
        words = line.replace(":", " ").split()
        if name in words:
            return int(words[words.index(name) + 1])
    return 0


def _groups(process: Process) -> Iterator[str]:
    """The control groups for memory that a new process like this one would be in, too.

    The domain's own is left out: the new process gets one of its own.
    """
    for line in process.read("cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" and os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
            root = "/sys/fs/cgroup"
        elif "memory" in controllers.split(","):
            root = "/sys/fs/cgroup/memory"
        else:
            continue
        parts = path.strip("/").split("/")
        own = [n for n, part in enumerate(parts) if _DOMAIN.fullmatch(part.replace("\\x2d", "-"))]
        parts = parts[: own[0]] if own else parts
        while parts and parts != [""]:
            yield f"{root}/{'/'.join(parts)}"
            parts = parts[:-1]
        yield root


def _free_in(group: str) -> int | None:
    """What is left of a group's limit, caches that can be dropped included; None without one."""
    limits: tuple[str, ...]
    lines = (line.split() for line in _read(f"{group}/memory.stat").splitlines())
    stat = {words[0]: int(words[1]) for words in lines if len(words) == 2}
    if os.path.exists(f"{group}/memory.current"):
        used, limits, prefix = "memory.current", ("memory.max", "memory.high"), ""
    else:
        used, limits, prefix = "memory.usage_in_bytes", ("memory.limit_in_bytes",), "total_"
    given = [text for name in limits if (text := _read(f"{group}/{name}").strip()).isdigit()]
    limit = min((int(text) for text in given), default=_NO_LIMIT)
    if limit >= _NO_LIMIT:
        return None
    dropped = sum(stat.get(f"{prefix}{kind}_file", 0) for kind in ("active", "inactive"))
    return limit - int(_read(f"{group}/{used}").strip() or 0) + dropped


def _free_huge(size: int, nodes: tuple[int, ...]) -> int:
    """Bytes of huge pages of ``size`` KiB that nobody has or was promised."""
    name = f"hugepages-{size}kB"
    if nodes:
        pages = sum(_number(f"{_NODES}/node{n}/hugepages/{name}/free_hugepages") for n in nodes)
        return pages * size << 10
    base = f"/sys/kernel/mm/hugepages/{name}"
    pages = (
        _number(f"{base}/free_hugepages")
        - _number(f"{base}/resv_hugepages")
        + _number(f"{base}/nr_overcommit_hugepages")
        - _number(f"{base}/surplus_hugepages")
    )
    return pages * size << 10


def _number(path: str) -> int:
    text = _read(path).strip()
    return int(text) if text.isdigit() else 0


def _read(path: str) -> str:
    """A file of the kernel's; empty when there is none."""
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""
