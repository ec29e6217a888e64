"""What the demo does with a host; the imitated ones, which are trees."""

import os
import re
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

from tests.demo import stage
from tests.support.libvirt import Libvirtd, finish
from tests.support.process import REPOSITORY, Daemon, Done, reconciler, run, uuidfs_words, wait_for
from tests.support.trees import Domain, build, uuid_for

CHECKPOINT = "monday"
STARTED = re.compile(r"-name guest=([^, ]+).*?-uuid ([0-9a-f]{8})", re.DOTALL)


class Start(NamedTuple):
    """A domain's start, as its log tells it."""

    name: str
    uuid: str


class Demonstrated(ABC):
    """A host with two domains: ``web`` is off and has a checkpoint, and ``db`` runs."""

    @abstractmethod
    def path(self, path: str) -> Path:
        """Where a path of the host is to be found."""

    @abstractmethod
    def rename(self, old: str, new: str) -> None:
        """``virsh domrename``."""

    @abstractmethod
    def run_once(self, name: str) -> None:
        """``virsh start`` and ``virsh destroy``."""

    @abstractmethod
    def define_and_start(self, name: str) -> None:
        """A new domain, with a UUID of its own, runs once."""

    @abstractmethod
    def restart(self) -> None:
        """libvirt's daemon starts anew, as after an update or a boot."""

    @abstractmethod
    def checkpoints(self, name: str) -> list[str]:
        """``virsh checkpoint-list``."""

    @abstractmethod
    def undefine(self, name: str) -> None:
        """``virsh undefine`` with all that libvirt knows of a domain."""

    @abstractmethod
    def names(self) -> list[str]:
        """``virsh list --all --name``."""

    @abstractmethod
    def uuidfs(self, *words: str) -> Done:
        """Run the real command line."""

    @abstractmethod
    def reconciler(self) -> Daemon:
        """The reconciler of this host, not started yet."""

    def starts(self, name: str) -> list[Start]:
        """The starts in a log."""
        try:
            text = self.path(f"/var/log/libvirt/qemu/{name}.log").read_text(errors="replace")
        except FileNotFoundError:
            return []
        return [Start(*found) for found in STARTED.findall(text)]

    def tree(self, kind: str = "config") -> list[stage.Line]:
        """The domains' configs or logs."""
        top = {"config": "/etc/libvirt/qemu", "log": "/var/log/libvirt/qemu"}[kind]
        return stage.tree(self.path(top), top, ".xml" if kind == "config" else ".log")

    def settled(self) -> None:
        """Wait until the reconciler has followed what libvirt did."""

        def done() -> bool:
            configs = self.path("/etc/libvirt/qemu").glob("*.xml")
            logs = self.path("/var/log/libvirt/qemu").glob("*.log")
            links = all(each.is_symlink() for each in (*configs, *logs) if each.stem != "gone")
            return links and self.uuidfs("check").code == 0

        wait_for(done, "the reconciler has followed")


class Imitation(Demonstrated):
    """A tree with libvirt's files, on which a model does what libvirt does to them."""

    def __init__(self, root: Path) -> None:
        domains = [
            Domain("web", uuid_for("web"), log_suffixes=(), checkpoints=(CHECKPOINT,)),
            Domain("db", uuid_for("db"), log_suffixes=()),
        ]
        self.host = build(root, domains).host
        self._libvirt = Libvirtd(self.host)
        for domain in domains:
            self.run_once(domain.name)

    def path(self, path: str) -> Path:
        return self.host.root / path.lstrip("/")

    def run_once(self, name: str) -> None:
        when = time.strftime("%Y-%m-%d %H:%M:%S.000+0000", time.gmtime())
        with self.host.log_of(name).open("a") as log:
            log.write(f"{when}: starting up libvirt version: 9.0.0 (imitated)\n")
            log.write(f"-name guest={name},debug-threads=on \\\n")
            log.write(f"-uuid {self._libvirt.domains[name].uuid} \\\n")
            log.write(f"{when}: shutting down, reason=destroyed\n")

    def rename(self, old: str, new: str) -> None:
        finish(self._libvirt.rename(old, new))

    def define_and_start(self, name: str) -> None:
        finish(self._libvirt.define(name, uuid_for(f"the next {name}")))
        self.run_once(name)

    def restart(self) -> None:
        self._libvirt = Libvirtd(self.host)

    def checkpoints(self, name: str) -> list[str]:
        return list(self._libvirt.domains[name].checkpoints)

    def undefine(self, name: str) -> None:
        finish(self._libvirt.undefine(name))

    def names(self) -> list[str]:
        return sorted(self._libvirt.domains)

    def uuidfs(self, *words: str) -> Done:
        done = run(*uuidfs_words(self.host.root, *words), cwd=REPOSITORY)
        root = os.fspath(self.host.root)
        return Done(done.code, done.out.replace(root, ""), done.err.replace(root, ""))

    def reconciler(self) -> Daemon:
        return reconciler(self.host.root, "setsid")  # Ctrl-C is for the demo, which ends it
