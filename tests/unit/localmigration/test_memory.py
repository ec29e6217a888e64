"""How much memory a second process needs, and how much there is: with made-up /proc and /sys."""

import os
from pathlib import Path
from typing import Any, Self

import pytest
from lxml import etree

from uuidfs.localmigration import memory

MIB = 1 << 20

NONE = "9223372036854771712\n"  # what version 1 says for no limit

SYSTEMD = r"/machine.slice/machine-qemu\x2d1\x2da.scope/libvirt/emulator"


class FakeProcess:
    """A process of which the kernel says this."""

    def __init__(self, has: int = 0, groups: str = "") -> None:
        self._has = has
        self._groups = groups

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def memory(self) -> int:
        return self._has

    def read(self, name: str) -> str:
        assert name == "cgroup"
        return self._groups


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The files that there are; everybody is in no control group."""
    files = {"/proc/meminfo": "MemTotal: 1 kB\nMemAvailable: 8388608 kB\nHugepagesize: 2048 kB\n"}
    monkeypatch.setattr(memory, "_read", lambda path: files.get(path, ""))
    monkeypatch.setattr(memory, "Process", lambda _pid: FakeProcess())
    monkeypatch.setattr(os.path, "exists", files.__contains__)
    return files


def two(files: dict[str, str], group: str, most: str, used: int, cache: int = 0) -> None:
    """A control group of version 2."""
    root = f"/sys/fs/cgroup{group}"
    files["/sys/fs/cgroup/cgroup.controllers"] = "memory"
    files[f"{root}/memory.max"] = f"{most}\n"
    files[f"{root}/memory.current"] = f"{used}\n"
    files[f"{root}/memory.stat"] = f"anon 7\nactive_file {cache}\ninactive_file 0\n"


def one(files: dict[str, str], group: str, most: str, used: int, cache: int = 0) -> None:
    """A control group of version 1."""
    root = f"/sys/fs/cgroup/memory{group}"
    files[f"{root}/memory.limit_in_bytes"] = most
    files[f"{root}/memory.usage_in_bytes"] = f"{used}\n"
    files[f"{root}/memory.stat"] = f"active_file 1\ntotal_active_file {cache}\n"


def live(inside: str = "", size: int = 1024) -> etree._Element:
    """A domain's XML with a size in MiB."""
    return etree.fromstring(f"<domain><memory unit='KiB'>{size << 10}</memory>{inside}</domain>")


def need(has: int, xml: etree._Element) -> memory.Need:
    process: Any = FakeProcess(has * MIB)
    return memory.need_of(process, xml)


def said(wanted: int, groups: str = "", *, nodes: tuple[int, ...] = (), **huge: int) -> list[str]:
    process: Any = FakeProcess(groups=groups)
    sizes = {int(key.strip("_")): size * MIB for key, size in huge.items()}
    return memory.shortages(memory.Need(wanted * MIB, sizes, nodes), process)


@pytest.mark.parametrize(
    ("inside", "ordinary"),
    [
        ("", 300),
        ("<memoryBacking><source type='memfd'/></memoryBacking>", 300),
        ("<memoryBacking><allocation mode='ondemand'/></memoryBacking>", 300),
        ("<memoryBacking><allocation mode='immediate'/></memoryBacking>", 1024),
        ("<memoryBacking><locked/></memoryBacking>", 1024),
    ],
)
def test_what_it_has_or_all_that_it_may_have(inside: str, ordinary: int) -> None:
    assert need(300, live(inside)) == (ordinary * MIB + memory.OVERHEAD, {}, ())
    assert need(1100, live(inside)).ordinary == 1100 * MIB + memory.OVERHEAD


CELLS = (
    "<cpu><numa><cell id='0' memory='262144' unit='KiB'/>"
    "<cell id='1' memory='786432' unit='KiB'/></numa></cpu>"
)


@pytest.mark.parametrize(
    ("pages", "huge"),
    [
        ("", {2048: 1024}),
        ("<page size='1048576' unit='KiB'/>", {1048576: 1024}),
        (
            "<page size='1048576' nodeset='0'/><page size='2048' nodeset='1'/>",
            {1048576: 256, 2048: 768},
        ),
        ("<page size='1048576' nodeset='0'/>", {1048576: 256}),
        ("<page size='1048576' nodeset='0'/><page size='2048'/>", {1048576: 256, 2048: 768}),
        ("<page size='2048'/><page size='1048576' nodeset='0'/>", {1048576: 256, 2048: 768}),
        ("<page size='2048' nodeset='0-1'/>", {2048: 1024}),
    ],
)
def test_huge_pages(kernel: dict[str, str], pages: str, huge: dict[int, int]) -> None:
    backing = f"<memoryBacking><hugepages>{pages}</hugepages></memoryBacking>{CELLS}"
    found = need(1100, live(backing))
    assert found.huge == {size: part * MIB for size, part in huge.items()}
    assert found.ordinary == (1100 - sum(huge.values())) * MIB + memory.OVERHEAD


def test_nodes_of_the_host() -> None:
    strict = "<numatune><memory mode='strict' nodeset='0-1,3'/></numatune>"
    assert need(1, live(strict)).nodes == (0, 1, 3)
    assert need(1, live(strict.replace("strict", "preferred"))).nodes == ()
    assert memory.numbers("") == memory.numbers("x,1-y") == ()


def test_the_host_has_enough_or_too_little(kernel: dict[str, str]) -> None:
    assert said(8192) == []
    assert said(8193) == [
        "memory: its second process may need 8193 MiB, and the host has 8192 MiB left"
    ]


def test_a_node_that_it_is_bound_to(kernel: dict[str, str]) -> None:
    kernel["/sys/devices/system/node/node1/meminfo"] = (
        "Node 1 MemTotal: 9 kB\nNode 1 MemFree: 102400 kB\nNode 1 Active(file): 1024 kB\n"
        "Node 1 Inactive(file): 1024 kB\nNode 1 SReclaimable: 2048 kB\nNode 1 Active(anon): 9 kB\n"
    )
    assert said(104, nodes=(1,)) == []
    assert said(105, nodes=(1,)) == [
        "memory: its second process may need 105 MiB, and node 1 has 104 MiB left"
    ]


@pytest.mark.parametrize("version", [1, 2])
def test_a_group_above_the_domains_own(kernel: dict[str, str], version: int) -> None:
    """Of libvirtd's parents, say; caches can be dropped, and the domain's own limit is its own."""
    make = one if version == 1 else two
    line = "5:memory:" if version == 1 else "0::"
    own = "/machine/qemu-1-a.libvirt-qemu"
    make(kernel, "/machine", str(600 * MIB), 500 * MIB, 50 * MIB)
    make(kernel, own, str(MIB), MIB)
    root = "/sys/fs/cgroup/memory" if version == 1 else "/sys/fs/cgroup"
    assert said(150, f"{line}{own}\n") == []
    assert said(151, f"9:cpu:/elsewhere\n{line}{own}/emulator\n") == [
        f"memory: its second process may need 151 MiB, and the control group {root}/machine "
        f"has 150 MiB left"
    ]


@pytest.mark.parametrize("path", [SYSTEMD, "/machine.slice/machine-qemu-1-a.scope"])
def test_systemds_names(kernel: dict[str, str], path: str) -> None:
    two(kernel, "/machine.slice", str(100 * MIB), 0)
    two(kernel, path, "1", 0)
    (only,) = said(101, f"0::{path}\n")
    assert "/sys/fs/cgroup/machine.slice has 100 MiB" in only


def test_our_own_group_is_the_peers_too(
    kernel: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    two(kernel, "/user.slice", "max", 0)
    two(kernel, "/user.slice/session", str(64 * MIB), 60 * MIB)
    ours = FakeProcess(groups="0::/user.slice/session\n")
    monkeypatch.setattr(memory, "Process", lambda _pid: ours)
    (only,) = said(5, "0::/machine.slice\n")
    assert "/sys/fs/cgroup/user.slice/session has 4 MiB" in only


def test_a_soft_limit_of_version_2_and_none_at_all(kernel: dict[str, str]) -> None:
    two(kernel, "/a", "max", 50 * MIB)
    one(kernel, "/a", NONE, 50 * MIB)
    assert said(8000, "0::/a\n5:memory:/a\n") == []
    kernel["/sys/fs/cgroup/a/memory.high"] = f"{60 * MIB}\n"
    (only,) = said(11, "0::/a\n")
    assert "/sys/fs/cgroup/a has 10 MiB left" in only


def test_a_group_over_its_limit_has_nothing(kernel: dict[str, str]) -> None:
    two(kernel, "/a", str(MIB), 5 * MIB)
    (only,) = said(1, "0::/a\n")
    assert only.endswith("has 0 MiB left")


def test_huge_pages_by_size_and_node(kernel: dict[str, str]) -> None:
    base = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    for name, number in (("free", 100), ("resv", 40), ("nr_overcommit", 20), ("surplus", 5)):
        kernel[f"{base}/{name}_hugepages"] = f"{number}\n"
    assert said(1, _2048=150) == []
    (only,) = said(1, _2048=151)
    assert "needs 151 MiB of huge pages of 2048 KiB, and 150 MiB are free" in only
    kernel["/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages"] = "4\n"
    kernel["/sys/devices/system/node/node0/meminfo"] = "Node 0 MemFree: 999999 kB\n"
    (only,) = said(1, nodes=(0,), _2048=9)
    assert only.endswith("and 8 MiB of node 0 are free")


@pytest.mark.parametrize(
    ("source", "kib", "short"),
    [
        ("<source type='file'/>", 1 << 40, True),
        ("<source type='file'/>", 1, False),
        ("<source type='memfd'/>", 1 << 40, False),
        ("", 1 << 40, False),
    ],
)
def test_memory_that_is_a_file_has_to_fit_below_run(
    tmp_path: Path, source: str, kib: int, short: bool
) -> None:
    live = etree.fromstring(
        f"<domain><memory unit='KiB'>{kib}</memory><memoryBacking>{source}</memoryBacking></domain>"
    )
    assert bool(memory.file_shortage(live, str(tmp_path))) is short
