"""revert killed at each file operation after libvirt saved a config just before it was given back:
libvirt's newest save, which revert took off the name, is what counts."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from tests.live import guest
from tests.live.private_host import ENVIRONMENT, PrivateHost, uuidfs_command
from tests.live.reconciler import Reconciler
from tests.live.test_rename_killed import Call
from tests.support.process import wait_for

EVERY = os.environ.get("UUIDFS_LIVE_ALL") == "1"
UUID = guest.uuid(1)
CONFIG = "/etc/libvirt/qemu/a.xml"
HELD = f"/etc/libvirt/qemu/by-uuid/{UUID}~link"
TRACE = "/run/trace"
TRACED = "renameat2,linkat,unlinkat,symlinkat"

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")


class Revert:
    """``revert --all`` that stops once the file has its second name, and goes on when libvirt has
    saved; killed at a call, counted from its start as strace does."""

    def __init__(self, host: PrivateHost, kill_at: Call | None = None) -> None:
        self.host = host
        self.trace = host.path(TRACE)
        self.trace.unlink(missing_ok=True)
        # The call before it would do as well; strace takes one injection for each system call.
        stop = "unlinkat" if kill_at is not None and kill_at[0] == "linkat" else "linkat"
        kill = () if kill_at is None else (f"inject={kill_at[0]}:signal=KILL:when={kill_at[1]}",)
        self.options = (f"trace={TRACED}", f"inject={stop}:signal=STOP:when=1", *kill)

    def run(self, save: Callable[[], object]) -> list[Call]:
        """The calls that it came to after the save; the last one may not have been made."""
        words, env = uuidfs_command()
        options = [word for option in self.options for word in ("-e", option)]
        # In the namespace: where nsenter were traced, it would stop as well.
        command = self.host.inside("strace", "-f", "-qq", "-o", TRACE, *options, *words)
        with subprocess.Popen(
            [*command, "revert", "--all"],
            env=ENVIRONMENT | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as revert:
            wait_for(lambda: revert.poll() is not None or self._stopped(), "it stops")
            assert revert.poll() is None, revert.communicate()
            save()
            self.host.run("kill", "-s", "CONT", self._stopped()).ok()
            revert.communicate()
        return self._calls()

    def _stopped(self) -> str:
        text = self.trace.read_text() if self.trace.exists() else ""
        found = re.search(r"^(\d+) +--- stopped by SIGSTOP ---$", text, re.MULTILINE)
        return found[1] if found else ""

    def _calls(self) -> list[Call]:
        names: list[str] = re.findall(rf"^{self._stopped()} +(\w+)\(", self.trace.read_text(), re.M)
        calls = [(name, names[: index + 1].count(name)) for index, name in enumerate(names)]
        return calls[calls.index(("linkat", 1)) + 1 :]


class Domain:
    """The domain a, which libvirt saves with another amount of memory each time."""

    def __init__(self, host: PrivateHost) -> None:
        self.host = host
        self.memory = 8192
        self.newest = ""
        self.held = 0
        host.path("/run/domain.xml").write_text(guest.domain("a", 1))
        host.virsh("define", "/run/domain.xml").ok()
        self.starts()  # so that it has a log

    def starts(self) -> None:
        """Which the hook sees, where there is one."""
        self.host.virsh("start", "a").ok()
        self.host.virsh("destroy", "a").ok()

    def saves(self) -> None:
        self.memory += 1
        self.host.virsh("setmem", "a", str(self.memory), "--config").ok()
        self.newest = self.definition()

    def definition(self) -> str:
        return self.host.virsh("dumpxml", "--inactive", "a").ok().out

    def note(self) -> None:
        """Count whether the newest save is held aside, and the name has an older one."""
        self.held += self._is_newest(HELD) and not self._is_newest(CONFIG)

    def _is_newest(self, path: str) -> bool:
        found = self.host.path(path)
        return found.is_file() and f">{self.memory}</currentMemory>" in found.read_text()


def by_convert(domain: Domain, revert: Revert) -> list[Call]:
    reached = revert.run(domain.saves)
    domain.note()
    domain.host.uuidfs("convert", "--all").ok()
    return reached


def by_hook(domain: Domain, revert: Revert) -> list[Call]:
    reached = revert.run(domain.saves)
    domain.note()
    domain.starts()
    return reached


def by_reconciler(domain: Domain, revert: Revert) -> list[Call]:
    """It sees the save, and waits for the lock."""
    reconciler = Reconciler(domain.host)
    with ExitStack() as stack:

        def save() -> None:
            stack.enter_context(reconciler)
            domain.saves()

        reached = revert.run(save)
        reconciler.settle()
    return reached


@pytest.mark.parametrize("go_on", [by_convert, by_hook, by_reconciler])
def test_libvirts_newest_save_counts(
    converted: PrivateHost, go_on: Callable[[Domain, Revert], list[Call]]
) -> None:
    host, domain = converted, Domain(converted)
    host.uuidfs("convert", "--all").ok()
    calls = Revert(host).run(domain.saves)
    assert calls[:2] == [("renameat2", 1), ("renameat2", 2)], "it gave back what libvirt wrote"
    for call in calls if EVERY else calls[1:3]:
        host.uuidfs("convert", "--all").ok()
        assert host.path(CONFIG).is_symlink()
        assert go_on(domain, Revert(host, call))[-1] == call
        host.restart()
        assert domain.definition() == domain.newest, f"killed at {call}"
    assert domain.held == (go_on is not by_reconciler), "once the name had the older version"
