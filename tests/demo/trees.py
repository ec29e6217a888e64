"""Two sample hosts get the same calls of libvirt; beside one of them uuidfs works. No root needed.

libvirt is the tests' model of it (tests/support/libvirt.py), which makes the system calls of a
real one. `uuidfs convert --all` does what the reconciler does within milliseconds."""

import json
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.demo.screen import CYAN, RED, Screen, short
from tests.support.libvirt import Libvirtd, finish
from tests.support.trees import Domain, Host, build, uuid_for

WEB = Domain(
    "web",
    uuid_for("web"),
    log_suffixes=("",),
    snapshots=("nightly",),
    checkpoints=("backup",),
)


@dataclass(frozen=True)
class _Pair:
    plain: Host
    ours: Host
    screen: Screen

    def uuidfs(self, *words: str, shown: bool = True, most: int = 8) -> str:
        """Run the real command line on our host; a failure stops the demo."""
        command = [sys.executable, "-m", "uuidfs", "--root", os.fspath(self.ours.root), *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"uuidfs {' '.join(words)} failed:\n{done.stdout}{done.stderr}")
        if shown:
            said = done.stdout.replace(os.fspath(self.ours.root), "")
            self.screen.command(f"uuidfs {' '.join(words)}", said, most=most)
        return done.stdout

    def look(self) -> None:
        """Both trees beside each other."""
        self.screen.beside(_seen(self.plain), _seen(self.ours))


def show(screen: Screen) -> None:
    """A conversion, a rename, a mishap and its undo, and the way back."""
    with tempfile.TemporaryDirectory(prefix="uuidfs-demo-") as base:
        plain = build(Path(base, "plain"), (WEB,)).host
        pair = _Pair(plain, build(Path(base, "ours"), (WEB,)).host, screen)
        for host in (pair.plain, pair.ours):
            host.log_of("gone").unlink()
            _start(host, WEB, "2026-11-20 08:00")
        _convert(pair)
        _rename(pair)
        _undefine(pair)
        _revert(pair)


def _convert(pair: _Pair) -> None:
    pair.screen.heading("1. Two hosts with one domain, web. The second one is converted:")
    pair.uuidfs("convert", "--all")
    pair.look()


def _rename(pair: _Pair) -> None:
    pair.screen.heading("2. virsh domrename web shop; later, a new domain is called web:")
    for host in (pair.plain, pair.ours):
        finish(Libvirtd(host).rename("web", "shop"))
    pair.uuidfs("convert", "--all", shown=False)
    for host in (pair.plain, pair.ours):
        finish(Libvirtd(host).define("web", uuid_for("a new web")))
        _start(host, Domain("shop", WEB.uuid), "2026-11-21 09:00")
        _start(host, Domain("web", uuid_for("a new web")), "2026-11-22 10:00")
    pair.uuidfs("convert", "--all", shown=False)
    pair.look()
    pair.uuidfs("history", "shop", most=5)


def _undefine(pair: _Pair) -> None:
    pair.screen.heading("3. A mishap: virsh undefine shop, with its snapshot and its checkpoint:")
    for host in (pair.plain, pair.ours):
        finish(Libvirtd(host).undefine("shop"))
    pair.uuidfs("convert", "--all", shown=False)
    pair.look()
    pair.uuidfs("undelete")
    pair.screen.note("`uuidfs undelete shop` has libvirt take all of it back. This tree has no")
    pair.screen.note("libvirt, so each file is restored by itself:")
    entries = json.loads(pair.uuidfs("trash", "list", "--json", shown=False))
    for entry in sorted(entries["entries"], key=lambda entry: str(entry["kind"] != "config")):
        if entry["kind"] != "kept":
            pair.uuidfs("trash", "restore", entry["id"], most=1)
    pair.uuidfs("convert", "--all", shown=False)
    pair.uuidfs("check")
    pair.screen.note("Exit code 0: every name leads to its own domain's file.")


def _revert(pair: _Pair) -> None:
    pair.screen.heading("4. Enough of it? libvirt's own layout comes back:")
    pair.uuidfs("revert", "--all", most=3)
    links = [path for path in pair.ours.root.rglob("*") if path.is_symlink()]
    pair.screen.note(f"{len(links)} symlinks are left.")


def _start(host: Host, domain: Domain, when: str) -> None:
    """What libvirt (9.0) writes at a start; virtlogd opens it by name and follows links."""
    with host.log_of(domain.name).open("a") as log:
        log.write(f"{when}:00.123+0000: starting up libvirt version: 9.0.0, qemu version: 7.2\n")
        log.write(f"-name guest={domain.name},debug-threads=on \\\n-uuid {domain.uuid} \\\n")


def _seen(host: Host) -> list[tuple[str, str]]:
    """What libvirt finds at a domain's names, and what is wrong with it."""
    found = []
    for top, label in (
        (host.config, "qemu"),
        (host.log, "log"),
        (host.snapshot, "snapshot"),
        (host.checkpoint, "checkpoint"),
    ):
        for path in _below(top):
            name = f"{label}/{path.relative_to(top)}"
            if path.is_symlink():
                target = Path(path.readlink())
                found.append((f"{name} → {short('/'.join(target.parts[-2:]))}", CYAN))
            else:
                wrong = _wrong(path, top == host.snapshot)
                found.append((f"{name}{wrong and ' ✗ ' + wrong}", RED if wrong else ""))
    return found


def _below(top: Path) -> list[Path]:
    """Domains' files; links to a directory are not gone into."""
    return sorted(
        path
        for path in (*top.glob("*"), *top.glob("*/*.xml"))
        if not {"by-uuid", "networks", "autostart"} & set(path.parts)
        and (path.is_symlink() or path.is_file())
    )


def _wrong(path: Path, in_snapshots: bool) -> str:
    """What a plain host has made of a file."""
    text = path.read_text()
    if path.suffix == ".log":
        domains = set(re.findall("-uuid ([0-9a-f-]{36})", text))
        return "two domains' lines" if len(domains) > 1 else ""
    return "lost" if in_snapshots and text.startswith("<domaincheckpoint") else ""
