"""uuidfs and libvirt are killed, and system calls fail, while definitions get other paths."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.live import firmware
from tests.live.firmware import NVRAM, define, path_of, run, uuid, write
from tests.live.private_host import DAEMON, PrivateHost, uuidfs_command
from tests.support.process import Done

FULL = os.environ.get("UUIDFS_FULL_MATRIX") == "1"

MUTATING = ("linkat", "link", "renameat2", "renameat", "rename", "unlinkat", "unlink", "mkdir")
SYNCS = ("fsync", "rmdir", "flock")
LOOKS = ("openat", "newfstatat", "getdents64", "readlinkat", "read", "fstat")

OWN = f"{NVRAM}/{uuid(1)}_VARS.fd"
TEXT = b"of beta"

CONVERT = ("convert", "--all", "--kind", "nvram")


class Story:
    """beta, which was alpha, with a snapshot; every attack begins with the same state."""

    def __init__(self, host: PrivateHost) -> None:
        self.host = host
        define(host, "alpha", 1)
        run(host, "alpha")
        write(host, "alpha", TEXT.decode())
        host.virsh("snapshot-create-as", "alpha", "s1", "--disk-only").ok()
        host.virsh("domrename", "alpha", "beta").ok()
        self.config = host.virsh("dumpxml", "beta", "--inactive", "--security-info").ok().out
        self.snapshot = host.virsh("snapshot-dumpxml", "beta", "s1").ok().out
        self.data = host.path(f"{NVRAM}/alpha_VARS.fd").read_bytes()

    def again(self) -> None:
        """Everything as it was before."""
        host = self.host
        host.run("sh", "-c", f"rm -f {NVRAM}/*; cd /var/lib/libvirt; rm -rf by-uuid/kept").ok()
        host.run("rmdir", "/var/lib/libvirt/by-uuid")  # made anew in each attack, if it is empty
        host.path(f"{NVRAM}/alpha_VARS.fd").write_bytes(self.data)
        host.run("virsh", "define", "/dev/stdin", text=self.config).ok()
        host.run(
            *("virsh", "snapshot-create", "beta", "/dev/stdin", "--redefine", "--current"),
            text=self.snapshot,
        ).ok()
        assert path_of(host, "beta") == f"{NVRAM}/alpha_VARS.fd"

    def holds(self) -> list[str]:
        """What is wrong now: a path that a document names leads to the domain's variables."""
        host = self.host
        texts = {
            "the definition": host.virsh("dumpxml", "beta", "--inactive").ok().out,
            "the snapshot": host.virsh("snapshot-dumpxml", "beta", "s1").ok().out,
        }
        wrong = []
        for what, text in texts.items():
            for path in re.findall(r"<nvram[^>]*>([^<]+)</nvram>", text):
                file = host.path(path)
                if not file.is_file() or file.read_bytes() != self.data:
                    wrong.append(f"{what} names {path}, which has not the variables")
        return wrong

    def ends(self) -> list[str]:
        """What is wrong after one more run."""
        said = self.host.uuidfs(*CONVERT)
        wrong = [] if said.code == 0 else [f"the next run: {said.err}"]
        if firmware.files(self.host) != [OWN.rpartition("/")[2]]:
            wrong.append(f"left: {firmware.files(self.host)}")
        if path_of(self.host, "beta") != OWN:
            wrong.append(f"the definition names {path_of(self.host, 'beta')}")
        left = self.host.run("find", "/var/lib/libvirt/by-uuid/kept", "-name", "*~*").out.split()
        return [*wrong, *left, *self.holds()]


def traced(host: PrivateHost, options: tuple[str, ...], words: tuple[str, ...]) -> Done:
    """Run uuidfs under strace; what virsh does is no matter."""
    command, env = uuidfs_command()
    return host.run("strace", "-o", "/run/trace", *options, *command, *words, env=dict(env))


def counts(story: Story, calls: tuple[str, ...], where: tuple[str, ...] = ()) -> dict[str, int]:
    """How often each call comes in an undisturbed run, after one that has made the byte code."""
    story.again()
    story.host.uuidfs(*CONVERT).ok()
    story.again()
    paths = tuple(word for path in where for word in ("-P", path))
    assert traced(story.host, ("-e", f"trace={','.join(calls)}", *paths), CONVERT).code == 0
    trace = story.host.path("/run/trace").read_text(errors="replace")
    found = {call: len(re.findall(rf"^{call}\(", trace, re.MULTILINE)) for call in calls}
    return {call: count for call, count in found.items() if count}


def chosen(number: int) -> Iterator[int]:
    """Every point, or the first, the middle and the last."""
    return iter(range(1, number + 1) if FULL else sorted({1, (number + 1) // 2, number}))


def test_a_kill_at_any_call_that_changes_something(converted: PrivateHost) -> None:
    story = Story(converted)
    found = counts(story, MUTATING + SYNCS)
    assert sum(found.values()) > 8, found
    failures, points = {}, 0
    for call, number in found.items():
        for nth in chosen(number):
            story.again()
            inject = ("-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={nth}")
            done = traced(story.host, inject, CONVERT)
            assert done.code != 0, (call, nth, done)
            points += 1
            if wrong := [*story.holds(), *story.ends()]:
                failures[f"{call} {nth}"] = wrong
    print(f"killed at {points} of {sum(found.values())} points")
    assert not failures


@pytest.mark.full
@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
def test_an_error_at_any_call(converted: PrivateHost, error: str) -> None:
    story = Story(converted)
    where = (NVRAM, "/var/lib/libvirt/by-uuid/kept", f"/var/lib/libvirt/by-uuid/kept/{uuid(1)}")
    found = counts(story, MUTATING + SYNCS + LOOKS, where)
    assert sum(found.values()) > 8, found
    failures, points = {}, 0
    for call, number in found.items():
        for nth in chosen(number):
            story.again()
            paths = tuple(word for path in where for word in ("-P", path))
            inject = ("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={nth}")
            done = traced(story.host, (*inject, *paths), CONVERT)
            points += 1
            wrong = [*story.holds(), *story.ends()]
            if "Traceback" in done.err:
                wrong.append(done.err)
            if wrong:
                failures[f"{call} {nth}"] = wrong
    print(f"{error} at {points} of {sum(found.values())} points")
    assert not failures


VIRSH = f"""#!/bin/sh
n=$(cat /run/virsh-count); n=$((n + 1)); echo $n >/run/virsh-count
when=$(cat /run/virsh-when)
[ "$when" != "before $n" ] || kill -9 $(cat /run/{DAEMON}.pid)
/usr/bin/virsh "$@"
code=$?
[ "$when" != "after $n" ] || kill -9 $(cat /run/{DAEMON}.pid)
exit $code
"""


@pytest.mark.full
def test_the_daemon_is_killed_at_every_question(converted: PrivateHost) -> None:
    story = Story(converted)
    host = story.host
    host.run("mkdir", "-p", "/run/bin").ok()
    host.path("/run/bin/virsh").write_text(VIRSH)
    host.path("/run/bin/virsh").chmod(0o755)
    env = {"PATH": "/run/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def attacked(when: str) -> Done:
        story.again()
        host.path("/run/virsh-count").write_text("0")
        host.path("/run/virsh-when").write_text(when)
        return host.uuidfs(*CONVERT, env=env)

    attacked("never").ok()
    number = int(host.path("/run/virsh-count").read_text())
    assert number > 6
    for when in [f"{side} {n}" for n in range(1, number + 1) for side in ("before", "after")]:
        done = attacked(when)
        assert "Traceback" not in done.err
        host.run("sh", "-c", f"while kill -0 $(cat /run/{DAEMON}.pid) 2>/dev/null; do :; done")
        host.libvirtd.start()
        assert [*story.holds(), *story.ends()] == [], when
