"""A host whose logs a test writes, rotates and renames as virtlogd and logrotate do."""

import bz2
import gzip
import lzma
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.support.process import Done, uuidfs
from tests.support.trees import Domain, build, domain_xml, uuid_for
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.history.logs import Logs
from uuidfs.history.read_log import chunks
from uuidfs.history.subject import find, names_of
from uuidfs.hook import convert_one
from uuidfs.layout.connections import system
from uuidfs.survey.scan import Problem

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: (
        subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
    ),
}


def stamped(day: int, text: str, hour: int = 10) -> bytes:
    """A line as libvirt writes it."""
    return f"2026-11-{day:02} {hour:02}:00:00.123+0000: {text}\n".encode()


def started(day: int, name: str, *more: str) -> bytes:
    """What libvirt writes at a start."""
    quoted = f"'guest={name},debug-threads=on'" if " " in name else f"guest={name},x=on"
    words = [f"-name {quoted}", *more, "-msg timestamp=on"]
    return stamped(day, "starting up libvirt version: 9.0.0") + b"".join(
        f"{word} \\\n".encode() for word in ("LC_ALL=C", "/usr/bin/qemu-system-x86_64", *words)
    )


class LogHost:
    """A tree with the domains ``a`` and ``b``, without any log; ``name`` is that of ``a`` now."""

    def __init__(self, root: Path) -> None:
        domains = [Domain(name, uuid_for(name), log_suffixes=()) for name in ("a", "b")]
        self.tree = build(root, domains)
        self.host = self.tree.host
        self.uuid = uuid_for("a")
        self.name = "a"
        self.layout = system(os.fspath(root))

    def run(self, *words: str) -> Done:
        return uuidfs(self.host.root, *words)

    def log(self, *words: str) -> str:
        """What ``uuidfs log`` prints."""
        done = self.run("log", *words)
        assert (done.code, done.err) == (0, "")
        return done.out

    def read(self) -> bytes:
        """The same without a process of its own, and to the byte."""
        problems: list[Problem] = []
        with Logs(self.layout) as logs:
            subject = find(logs, self.name)
            with logs.chain(subject, names_of(logs.scan(), subject)) as chain:
                chain.arrange()
                found = b"".join(chunks(chain.files, problems.append))
                assert problems + chain.problems == []
        return found

    def convert(self) -> None:
        """As the reconciler does."""
        assert convert(self.layout, Options()).exit_code == 0

    def start(self) -> None:
        """As the hook does at a start, before virtlogd opens the log."""
        convert_one(self.layout, self.name, domain_xml(self.name, self.uuid), start=True)
        self.path().open("ab").close()

    def path(self, suffix: str = "") -> Path:
        """One of its logs, by the name that it has now."""
        return self.host.log_of(self.name, suffix)

    def stored(self, suffix: str = "") -> Path:
        return self.host.store("log") / f"{self.uuid}.log{suffix}"

    def write(self, data: bytes, suffix: str = "") -> None:
        """As QEMU and libvirt do: append."""
        with self.path(suffix).open("ab") as file:
            file.write(data)

    def rotate(self) -> None:
        """As virtlogd does: names move up, links as they are, and a new file begins."""
        for number in range(40, -1, -1):
            for end in ("", *PACKERS):
                if os.path.lexists(path := self.path(f".{number}{end}")):
                    path.rename(self.path(f".{number + 1}{end}"))
        self.path().rename(self.path(".0"))
        self.path().touch()

    def pack(self, path: Path, end: str) -> None:
        """As logrotate does: another file with the old one's time, in its place."""
        packed = path.with_name(path.name + end)
        packed.write_bytes(PACKERS[end](path.read_bytes()))
        status = path.stat()
        os.utime(packed, (status.st_mtime, status.st_mtime))
        path.unlink()

    def pack_oldest(self, end: str) -> None:
        """As logrotate in the store, with delaycompress: the one that is written stays plain."""
        self.convert()
        numbered = [n for n in range(1, 99) if self.path(f".{n}").is_file()]
        if numbered:
            self.pack(self.path(f".{numbered[-1]}").resolve(), end)

    def rename(self, name: str) -> None:
        """As libvirt does, of a domain that is shut off: logs keep the old name."""
        config = self.host.config_of(name)
        new = config.with_name(f"{config.name}.new")  # nobody reads half of it
        new.write_bytes(domain_xml(name, self.uuid))
        new.rename(config)
        self.host.config_of(self.name).unlink()
        self.name = name

    def undefine(self) -> None:
        self.host.config_of(self.name).unlink()
