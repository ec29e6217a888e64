"""Small files of our own: replaced whole, or not at all."""

import os

from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import closing, opened
from uuidfs.layout.places import Place


def replace_file(place: Place, entry: str, data: bytes) -> None:
    """Replace a small file of ours below /run: complete or not at all, but not durable.

    Raises Refused or SystemCallFailed; what was there stays then.
    """
    fd = opened(place)
    if fd is None:
        raise Refused(place.path, "this directory was removed")
    with closing(fd):
        try:
            write_file(fd, entry, data)
        except OSError as error:
            raise SystemCallFailed("write", f"{place.path}/{entry}", error) from error


def write_file(directory: int, name: str, data: bytes) -> None:
    """Replace a small file of our own under /run: complete or not at all, but not durable."""
    temporary = f"{name}.new"
    change.unlink(directory, temporary)
    fd = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=directory
    )
    try:
        os.write(fd, data)
    finally:
        os.close(fd)
    change.rename(directory, temporary, directory, name)


def private(path: str, flags: int) -> int:
    """For open(): a file for its owner only, and never through a link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def put(directory: Place, name: str, data: bytes, mode: int) -> bool:
    """Write a file next to its place and rename it there; True when a directory was made.

    Raises OSError or Refused; then what was there before is there still.
    """
    fresh = not os.path.isdir(directory.path)
    os.makedirs(directory.path, exist_ok=True)
    fd = opened(directory)
    if fd is None:
        raise Refused(directory.path, "this directory was removed")
    temp = f".{name}.uuidfs"  # libvirt runs no dot files in qemu.d, systemd reads none
    with closing(fd):
        try:
            change.unlink(fd, temp)
            out = os.open(
                temp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=fd
            )
            with closing(out):
                os.write(out, data)
                os.fchmod(out, mode)
                os.fsync(out)
            change.rename(fd, temp, fd, name)
            change.sync_directory(fd)
        except BaseException:
            change.unlink(fd, temp)
            raise
    return fresh


def read(path: str) -> bytes | None:
    """A file's content; None when there is none. Raises OSError."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
