"""Guests with an emulated TPM, and what tests/data/tpm-guest.S prints of its state."""

import hashlib
import re
import subprocess
from itertools import pairwise
from pathlib import Path

from tests.live import guest
from tests.live.devices import console, domain
from tests.live.private_host import PrivateHost
from tests.support.process import REPOSITORY, wait_for

TPM = "<tpm model='tpm-tis'><backend type='emulator' version='2.0'/></tpm>"

ACPI = "<features><acpi/></features>"

IMAGES = "/var/lib/libvirt/images"

STATES = "/var/lib/libvirt/swtpm"

_EXTENDED = b"\x5a" * 32


def prepare(host: PrivateHost, directory: Path, *numbers: int) -> None:
    """Give guests the disk that drives their TPM, and the host what swtpm needs."""
    raw = boot_program(directory)
    for number in numbers or (1,):
        path = host.path(guest.disk(number))
        convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", str(raw), str(path)]
        subprocess.run(convert, check=True)
    directories(host)


def directories(host: PrivateHost) -> None:
    """Give a host its own of what swtpm writes to."""
    # Of the whole machine, and so of all hosts of tests at once.
    for place, mode in (("/var/lib/swtpm-localca", "0777"), ("/var/log/swtpm", "0711")):
        host.run("mkdir", "-p", place).ok()
        host.run("mount", "-t", "tmpfs", "-o", f"mode={mode}", "none", place).ok()


_SLOW = """#!/bin/sh
case $* in *--print-capabilities*) exec SWTPM "$@" ;; esac
rmdir DIRECTORY/late/once 2>/dev/null || exec SWTPM "$@"
for word do case $word in type=unixio,*) word=${word#*path=} && socket=${word%%,*} ;; esac done
exec python3 -c 'if True:
    import socket, sys, time
    late = socket.socket(socket.AF_UNIX)
    late.bind(sys.argv[1])
    time.sleep(60)' "$socket"
"""


def slow_once(host: PrivateHost) -> None:
    """The next swtpm has its socket's name, and does not listen yet when QEMU comes."""
    host.run("cp", "/usr/bin/swtpm", f"{IMAGES}/swtpm").ok()
    slow = host.path(f"{IMAGES}/slow")
    text = _SLOW.replace("DIRECTORY", IMAGES).replace("SWTPM", f"{IMAGES}/swtpm")
    slow.write_text(text)
    slow.chmod(0o755)
    host.run("install", "-d", "-m", "0777", f"{IMAGES}/late", f"{IMAGES}/late/once").ok()
    host.run("mount", "--bind", f"{IMAGES}/slow", "/usr/bin/swtpm").ok()


def boot_program(directory: Path) -> Path:
    """Make the raw disk that uses its TPM, again and again."""
    source = REPOSITORY / "tests/data/tpm-guest.S"
    built, raw = directory / "tpm-guest.o", directory / "tpm-guest.raw"
    subprocess.run(["as", "--32", str(source), "-o", str(built)], check=True)
    where = ["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary"]
    subprocess.run(["ld", *where, str(built), "-o", str(raw)], check=True)
    with raw.open("r+b") as file:
        file.truncate(1024 * 1024)  # SeaBIOS does not boot from a smaller disk
    return raw


def xml(name: str, number: int, more: str = "", tpm: str = TPM) -> str:
    """A guest that prints its TPM's state to the console file."""
    return domain(name, number, console(number) + tpm + more, top=ACPI)


def encrypted_by(secret: str) -> str:
    """A TPM whose state is encrypted by one of libvirt's secrets."""
    return TPM.replace(
        "version='2.0'/>", f"version='2.0'><encryption secret='{secret}'/></backend>"
    )


def lines(host: PrivateHost, number: int = 1) -> list[tuple[str, int]]:
    """The PCR and the counter, line for line."""
    path = host.path(f"/var/lib/libvirt/images/{number}.console")
    return said(path.read_text(errors="replace") if path.exists() else "")


def said(console: str) -> list[tuple[str, int]]:
    """The same of what a console's file holds."""
    found = re.findall(r"P([0-9a-f]{64}) N([0-9a-f]{16})\n", console)
    return [(pcr, int(counter, 16)) for pcr, counter in found]


def goes_on(host: PrivateHost, number: int = 1, more: int = 3) -> None:
    """Wait until it has printed some more."""
    old = len(lines(host, number))
    wait_for(lambda: len(lines(host, number)) >= old + more, "the guest uses its TPM")


def unbroken(found: list[tuple[str, int]], boots: int = 1) -> int:
    """Assert that no state was lost: the PCR's chain breaks at a boot only, the counter never.

    Returns the number of lines.
    """
    broken = 0
    for (pcr, counter), (next_pcr, next_counter) in pairwise(found):
        # A boot can come between an increment and its line.
        assert counter < next_counter <= counter + 2, f"{counter} -> {next_counter}"
        extended = hashlib.sha256(bytes.fromhex(pcr) + _EXTENDED).hexdigest()
        if extended != next_pcr or next_counter != counter + 1:
            broken += 1
    assert broken == boots - 1, f"{broken} breaks in {boots} boots"
    return len(found)


def newest(host: PrivateHost, number: int = 1) -> Path:
    """The file of its permanent state."""
    return host.path(f"{STATES}/{guest.uuid(number)}/tpm2/tpm2-00.permall")
