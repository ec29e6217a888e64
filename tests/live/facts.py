"""Rows of docs/libvirt-facts.md as shell lines: `make facts` runs them (tests/facts.py)."""

from typing import NamedTuple

import pytest

from tests.live.private_host import PrivateHost
from tests.live.shell import lines, run_lines, version

# What they use: C, S and L as in the document, and functions.
START = r"""
C=/etc/libvirt/qemu S=/var/lib/libvirt/qemu L=/var/log/libvirt/qemu
disk() {
    qemu-img create -q -f qcow2 "$PWD/$1.qcow2" 1M
    echo "<disk type='file'><driver type='qcow2'/><source file='$PWD/$1.qcow2'/>
        <target dev='vda'/></disk>"
}
checkpoint() { # DOMAIN NAME
    echo "<domaincheckpoint><name>$2</name><creationTime>1</creationTime></domaincheckpoint>" >c.xml
    virsh -q checkpoint-create "$1" c.xml --redefine
}
trace() { # SYSCALLS: of the daemon, in the file trace
    pid=$(pidof libvirtd virtqemud)
    strace -fyqqo trace -e trace="$1" -p "$pid" &
    tracer=$!
    until [ "$(grep -Ls 'TracerPid:.0' /proc/"$pid"/task/*/status | wc -l)" = \
            "$(ls /proc/"$pid"/task | wc -l)" ]; do sleep 0.05; done
}
traced() { # the names that changed, and the calls that changed them
    kill -INT $tracer && wait $tracer || true
    grep -v ' = -1' trace | grep -o '[a-z]*(.*[<"]/[^">]*/qemu/[^">]*[">]' |
        sed -E 's,\(.*[<"](/[^">]*/qemu/[^">]*)[">]$, \1,;s,"$,,'
}
hook() { # LINES: the hook's, and the daemon knows it
    mkdir -p /etc/libvirt/hooks
    printf '#!/bin/sh\n%s\n' "$1" >/etc/libvirt/hooks/qemu
    chmod 755 /etc/libvirt/hooks/qemu
    systemctl restart libvirtd
}
"""


class Fact(NamedTuple):
    """The beginnings of the rows that ``script`` shows when it prints ``printed``."""

    rows: tuple[str, ...]
    script: str
    printed: str
    since: tuple[int, int] = (0, 0)


def parametrized(facts: list[Fact]) -> pytest.MarkDecorator:
    """The mark for a test with one argument, ``fact``."""
    return pytest.mark.parametrize(
        "fact",
        [
            pytest.param(
                fact,
                id=fact.rows[0],
                marks=[pytest.mark.full, *(pytest.mark.fact(row) for row in fact.rows)],
            )
            for fact in facts
        ],
    )


def holds(host: PrivateHost, fact: Fact) -> None:
    """Run the lines, and compare what they print."""
    there = version(host)
    major, minor, _ = there.split(".")
    if (int(major), int(minor)) < fact.since:
        pytest.skip(f"this libvirt is older than the fact: {there}")
    done = run_lines(host, fact.script, START)
    assert lines(done.out) == lines(fact.printed), done
    assert done.code == 0, done
