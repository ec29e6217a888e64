"""Puts a small file of ours into a directory of the system's: complete and durable, or not."""

import os
from pathlib import Path

from uuidfs import fs
from uuidfs.dirs import opened
from uuidfs.errors import Refused
from uuidfs.layout import Place


def put(directory: Place, name: str, data: bytes, mode: int) -> bool:
    """Write a file next to its place and rename it there; True when a directory was made.

    Raises OSError or Refused; then what was there before is there still.
    """
    Path(directory.path).parent.mkdir(parents=True, exist_ok=True)
    fresh = not Path(directory.path).is_dir()
    Path(directory.path).mkdir(exist_ok=True)
    fd = opened(directory)
    if fd is None:
        raise Refused(directory.path, "this directory was removed")
    temp = f".{name}.uuidfs"  # libvirt runs no dot files in qemu.d, systemd reads none
    with fs.closing(fd):
        try:
            fs.unlink(fd, temp)
            out = os.open(
                temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=fd
            )
            with fs.closing(out):
                os.write(out, data)
                os.fchmod(out, mode)
                os.fsync(out)
            fs.rename(fd, temp, fd, name)
            fs.sync_directory(fd)
        except BaseException:
            fs.unlink(fd, temp)
            raise
    return fresh


def read(path: str) -> bytes | None:
    """A file's content; None when there is none. Raises OSError."""
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
