"""What libvirt, virtlogd and virsh do to the files of a domain, step by step.

The order of the steps is that of docs/libvirt-facts.md ("Writing", "Renaming", "Logs").
"""

import contextlib
import os
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.trees import Host

RENAME_STEPS = 5


def libvirt_save(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Every save of libvirt: NAME.xml.new, fsync, rename over NAME.xml."""
    new = os.fspath(path) + ".new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(fd, data)
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(new, path)


def libvirt_delete_tree(directory: Path) -> None:
    """virFileDeleteTree: opens by path (so follows a symlink at the top), unlinks, rmdirs."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.listdir(directory):
            path = directory / entry
            if path.is_dir() and not path.is_symlink():
                libvirt_delete_tree(path)
            else:
                path.unlink()
        directory.rmdir()


def libvirt_clean_up(host: Host, name: str) -> None:
    """What undefine, and step 1 of define and domrename, remove; logs stay."""
    host.config_of(name).unlink(missing_ok=True)
    (host.autostart / f"{name}.xml").unlink(missing_ok=True)
    libvirt_delete_tree(host.snapshot / name)
    libvirt_delete_tree(host.checkpoint / name)


def libvirt_domrename(
    host: Host, old: str, new: str, *, steps: int = RENAME_STEPS, misfile: bool = True
) -> None:
    """``virsh domrename``; ``steps`` below 5 cuts it short as a crash would.

    ``misfile``: the defect of 9.0 and 11.3 that writes checkpoints into snapshot/NEW.
    """

    def renamed(path: Path) -> bytes:
        before, after = (f"<name>{escape(name)}</name>".encode() for name in (old, new))
        return path.read_bytes().replace(before, after)

    if steps >= 1:
        libvirt_clean_up(host, new)
    if steps >= 2 and (host.autostart / f"{old}.xml").is_symlink():
        (host.autostart / f"{new}.xml").symlink_to(f"../{new}.xml")
    if steps >= 3:
        for top in (host.snapshot, host.checkpoint):
            target = (host.snapshot if misfile else top) / new
            for path in sorted((top / old).glob("*.xml")):
                target.mkdir(mode=0o755, exist_ok=True)
                libvirt_save(target / path.name, renamed(path))
    if steps >= 4:
        libvirt_save(host.config_of(new), renamed(host.config_of(old)))
    if steps >= RENAME_STEPS:
        libvirt_clean_up(host, old)


def virtlogd_rollover(host: Host, name: str, first_line: bytes, *, backups: int = 3) -> None:
    """virtlogd at max_size: renames the chain, links as they are, and begins a new log."""
    for number in range(backups - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(host.log_of(name, f".{number - 1}"), host.log_of(name, f".{number}"))
    os.rename(host.log_of(name), host.log_of(name, ".0"))
    fd = os.open(host.log_of(name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, first_line)
    os.close(fd)
