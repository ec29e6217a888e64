"""libvirt's part of a domain's firmware, on a real tree: what it writes, makes and deletes.

A guest writes its UUID into its variables while it runs, so a file says who used it last. What
libvirt 9.0 does with ``<os firmware='efi'>`` (no path in the definition) is the style "implied".
"""

import os
import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.support.trees import Host
from uuidfs.host.virsh import NoAnswerError

SECOND = 1_000_000_000
FIRST = 1_800_000_000 * SECOND


@dataclass(frozen=True)
class Domain:
    """One domain as the daemon knows it. ``path`` None: libvirt makes one of the name at a start.
    ``live``: the path of the process that runs. ``variables``: the inode that is the domain's by
    all that has happened; ``seen``: uuidfs has noted it."""

    uuid: str
    name: str
    path: str | None
    live: str | None = None
    snapshot: str | None = None  # a document; None where there is no snapshot
    variables: int | None = None
    seen: bool = False


class Broken(AssertionError):
    """A promise that was not kept."""


class Limit(Exception):
    """What docs/firmware.md says under "Limits": this world is not followed further."""


@dataclass
class Libvirt:
    """The daemon. ``implied``: the style; ``refuses``: it does not redefine snapshots."""

    host: Host
    implied: bool
    refuses: bool = False
    domains: dict[str, Domain] = field(default_factory=dict)
    clock: int = 0
    excused: bool = False  # the domain that starts now lost its file in a way that is a limit

    @property
    def nvram(self) -> Path:
        return self.host.lib / "nvram"

    def path_of(self, name: str) -> str:
        return f"{self.nvram}/{name}_VARS.fd"

    def named(self, name: str) -> Domain | None:
        return next((d for d in self.domains.values() if d.name == name), None)

    # -- documents --------------------------------------------------------------------------

    def xml(self, domain: Domain, *, live: bool = False) -> str:
        path = domain.live if live else domain.path
        system = "<os firmware='efi'>" if self.implied else "<os><loader type='pflash'>C</loader>"
        nvram = f"<nvram template='T'>{path}</nvram>" if path is not None else ""
        return (
            f"<domain type='qemu'><name>{domain.name}</name><uuid>{domain.uuid}</uuid>"
            f"{system}{nvram}</os><devices/></domain>"
        )

    def _stamp(self, path: Path) -> None:
        self.clock += 1
        os.utime(path, ns=(FIRST + self.clock * SECOND,) * 2)

    def _write(self, domain: Domain) -> None:
        """virFileRewrite: a new file over the name, whatever was there."""
        path = self.host.config_of(domain.name)
        new = path.with_name(path.name + ".new")
        new.write_text(self.xml(domain))
        self._stamp(new)
        new.rename(path)
        self.domains[domain.uuid] = domain

    # -- operations -------------------------------------------------------------------------

    def define(self, uuid: str, name: str, path: str | None = None) -> None:
        if path is None and not self.implied:
            path = self.path_of(name)
        known = self.domains.get(uuid) or Domain(uuid, name, path)
        self._write(replace(known, path=path))

    def rename(self, uuid: str, name: str) -> None:
        former = self.domains[uuid]
        self._write(replace(former, name=name))
        self.host.config_of(former.name).unlink()

    def start(self, uuid: str) -> None:
        """After the hook: a missing file is made of the template, and the guest uses it."""
        domain = self.domains[uuid]
        live = domain.path or self.path_of(domain.name)
        path = Path(live)
        writer = path.read_text() if path.exists() else ""
        if not path.exists():
            path.write_text("")
        inode = path.stat().st_ino
        self._judge(domain, writer, inode)
        path.write_text(uuid)
        self._stamp(path)
        seen = domain.seen and domain.variables == inode
        self.domains[uuid] = replace(domain, live=live, variables=inode, seen=seen)
        status = self.host.status / f"{domain.name}.xml"
        xml = self.xml(self.domains[uuid], live=True)
        status.write_text(f"<domstatus state='running'>{xml}</domstatus>")
        log = self.host.log_of(domain.name)
        with log.open("a") as file:
            file.write("start\n")

    def _judge(self, domain: Domain, writer: str, inode: int) -> None:
        other = self.domains.get(writer) if writer != domain.uuid else None
        if other is not None and other.variables == inode:
            if not other.seen:
                raise Limit
            raise Broken(f"{domain.name} starts with the variables of {other.name}")
        if domain.variables is not None and inode != domain.variables:
            if not domain.seen or self.excused:
                raise Limit
            raise Broken(f"{domain.name} starts without its variables")

    def stop(self, uuid: str) -> None:
        domain = self.domains[uuid]
        (self.host.status / f"{domain.name}.xml").unlink()
        self.domains[uuid] = replace(domain, live=None)

    def undefine(self, uuid: str, *, nvram: bool) -> None:
        domain = self.domains.pop(uuid)
        if nvram:
            Path(domain.path or self.path_of(domain.name)).unlink(missing_ok=True)
        self.host.config_of(domain.name).unlink()

    def snapshot(self, uuid: str) -> None:
        domain = self.domains[uuid]
        self.domains[uuid] = replace(domain, snapshot=self.xml(domain))

    def snapshot_revert(self, uuid: str) -> None:
        """The definition becomes the snapshot's; the name stays the domain's."""
        domain = self.domains[uuid]
        self._write(replace(domain, path=_path_in(domain.snapshot or "")))

    # -- virsh ------------------------------------------------------------------------------

    def virsh(self, _layout: object, what: str, *words: str, stdin: str = "") -> str:
        """What ``virsh`` says, or does."""
        command, uuid = words[0], words[2] if "--domain" in words else ""
        if uuid and uuid not in self.domains:
            raise NoAnswerError(f"cannot {what}: libvirt says: no such domain")
        known = self.domains.get(uuid)
        if command == "define":
            found = re.search("<uuid>(.*)</uuid>", stdin)
            assert found is not None
            known = self.domains.get(found[1])
            if known is None or f"<name>{known.name}</name>" not in stdin:
                raise NoAnswerError(f"cannot {what}: libvirt says: already exists with uuid")
            self._write(replace(known, path=_path_in(stdin)))
            return ""
        if command == "list":
            return ""  # no managed saves
        assert known is not None
        if command == "snapshot-create":
            if self.refuses:
                raise NoAnswerError(f"cannot {what}: libvirt refuses")
            self.domains[uuid] = replace(known, snapshot=stdin)
            return ""
        return {
            "dumpxml": self.xml(known),
            "domstate": "running" if known.live is not None else "shut off",
            "snapshot-list": "s1" if known.snapshot is not None else "",
            "snapshot-current": "s1",
            "snapshot-dumpxml": known.snapshot or "",
        }[command]


def _path_in(text: str) -> str | None:
    found = re.search("<nvram[^>]*>([^<]+)</nvram>", text)
    return found[1] if found else None
