"""The same with a real virsh and a guest that counts, in a private host (tests/live).

It has daemons and directories of its own, in namespaces: the machine's libvirt is not touched."""

import importlib.util
import shlex
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from tests.demo.screen import Screen
from tests.live import guest
from tests.live.able import missing
from tests.live.migration import counts
from tests.live.private_host import PrivateHost
from tests.support.process import Done, wait_for


def missing_here() -> str | None:
    """Why there can be no live part, or None."""
    if importlib.util.find_spec("libvirt") is None:
        return "no python3-libvirt"
    return missing()


class _Shown:
    """Runs commands in the private host, and shows them."""

    def __init__(self, host: PrivateHost, screen: Screen) -> None:
        self.host = host
        self.screen = screen

    def virsh(self, words: str) -> Done:
        """One virsh command, on the screen with what it said."""
        done = self.host.virsh(*shlex.split(words))
        self.screen.command(f"virsh {words}", (done.out + done.err).strip())
        return done

    def uuidfs(self, words: str, *, most: int = 8) -> Done:
        """One uuidfs command, which has to succeed."""
        done = self.host.uuidfs(*shlex.split(words)).ok()
        self.screen.command(f"uuidfs {words}", (done.out + done.err).strip(), most=most)
        return done


def show(screen: Screen) -> None:
    """A live rename, and an undelete."""
    screen.heading("5. Now real: libvirtd, QEMU, and a guest that counts 18 times a second:")
    with tempfile.TemporaryDirectory(prefix="uuidfs-demo-") as base, PrivateHost() as host:
        template = guest.make_disk_template(Path(base))
        guest.add_disks(host, template)
        host.install_hook()
        host.path("/run/web.xml").write_text(guest.domain("web", 1))
        host.virsh("define", "/run/web.xml").ok()
        host.uuidfs("convert", "--all").ok()
        shown = _Shown(host, screen)
        shown.virsh("start web").ok()
        wait_for(lambda: len(counts(host)) > 2, "the guest counts")
        _rename(shown)
        _undelete(shown)


def _rename(shown: _Shown) -> None:
    host, screen = shown.host, shown.screen
    shown.virsh("domrename web shop")  # refused: it runs
    before, pid, begun = counts(host), host.qemu_pid("web"), time.monotonic()
    shown.uuidfs("rename web shop --live")
    took = time.monotonic() - begun
    wait_for(lambda: len(counts(host)) > len(before) + 3, "the guest goes on")
    numbers = counts(host)
    gap = max(after - earlier for earlier, after in pairwise(numbers))
    screen.note(f"{took:.1f} s. QEMU's process: {pid} before, {host.qemu_pid('shop')} after.")
    screen.note(
        f"The guest counted on: {before[-1]} before, {numbers[-1]} now; "
        f"{'none' if gap == 1 else gap - 1} left out, and never back."
    )
    shown.virsh("list --all")
    shown.uuidfs("history shop", most=5)


def _undelete(shown: _Shown) -> None:
    host, screen = shown.host, shown.screen
    screen.heading("6. The mishap, and libvirt takes it back while it runs:")
    host.virsh("destroy", "shop").ok()
    shown.virsh("snapshot-create-as shop nightly").ok()
    host.uuidfs("convert", "--all").ok()  # as the reconciler does, after each save by libvirt
    shown.virsh("undefine shop --snapshots-metadata").ok()
    host.uuidfs("convert", "--all").ok()
    shown.uuidfs("undelete shop")
    shown.virsh("snapshot-list shop")
    done = host.uuidfs("check")
    screen.command("uuidfs check", (done.out + done.err).strip())
    if done.code:
        raise subprocess.CalledProcessError(done.code, "uuidfs check")
