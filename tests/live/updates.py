"""Guests whose QEMU is a copy of the host's, and what an update of a package does to that copy."""

import json
import shutil
from pathlib import Path
from typing import Any

from tests.live import guest
from tests.live.devices import define
from tests.live.migration import uuidfs
from tests.live.moving import wait_counting
from tests.live.private_host import PrivateHost
from tests.support.elf import with_another_build_id

HOSTS = "/usr/bin/qemu-system-x86_64"
QEMU = "/run/other/bin/qemu"
LIBRARIES = "/run/other/private"


def copy_qemu(host: PrivateHost) -> None:
    """A copy of QEMU that finds its firmware."""
    host.run("mkdir", "-p", "/run/other/bin", LIBRARIES).ok()
    for part in ("share", "lib"):
        host.run("ln", "-s", f"/usr/{part}", f"/run/other/{part}").ok()
    shutil.copy(HOSTS, host.path(QEMU))


def run_guest(host: PrivateHost, *, emulator: str = QEMU, number: int = 1) -> str:
    """Define and start guest ``number``, called a, b, c; returns its name."""
    name = "_abc"[number]
    xml = guest.domain(name, number)
    define(host, with_emulator(xml, emulator))
    host.virsh("start", name).ok()
    wait_counting(host, number)
    return name


def with_emulator(xml: str, emulator: str) -> str:
    """The XML of a domain with that emulator."""
    return xml.replace("<devices>", f"<devices><emulator>{emulator}</emulator>", 1)


def update(path: Path, data: bytes) -> None:
    """Replace a file as dpkg and rpm do: a new file is renamed over it."""
    new = path.with_name(path.name + ".dpkg-new")
    new.write_bytes(data)
    shutil.copymode(path, new)
    new.rename(path)


def reinstalled(path: Path) -> None:
    """The package of the file was installed again."""
    update(path, path.read_bytes())


def upgraded(path: Path) -> None:
    """A newer build lies there now: the same code with another build-id, so that it runs."""
    update(path, with_another_build_id(path.read_bytes()))


def found(host: PrivateHost, *words: str, code: int) -> list[dict[str, Any]]:
    """The outdated domains as JSON, with that exit code."""
    said = uuidfs(host, "outdated", "--json", *words)
    assert said.code == code, said
    result = json.loads(said.out)
    assert result["version"] == 1
    assert (result["problems"] == []) == (code != 1), result
    domains: list[dict[str, Any]] = result["domains"]
    return domains


def reasons(domain: dict[str, Any]) -> list[tuple[str, str]]:
    """Kinds and paths."""
    return [(each["kind"], each["path"]) for each in domain["reasons"]]
