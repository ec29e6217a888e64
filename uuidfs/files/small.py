"""Small files of our own: replaced whole, or not at all.

A file is written beside its place, under a name that nobody reads, and renamed over it. A short
write, a full disk or a kill leaves the old file as it was. The hook loads this: os only.
"""

import os

from uuidfs.errors import SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import Directory, existing
from uuidfs.layout.places import Place


def write_whole(
    directory: Directory, name: str, data: bytes, *, mode: int = 0o644, durable: bool = False
) -> None:
    """Replace ``name`` by a file with exactly this content and mode.

    ``durable``: it survives a power cut once this returns; files below /run need not. Raises
    OSError; what was there before is there still.
    """
    temporary = f".{name}.uuidfs"  # libvirt runs no dot files in qemu.d, systemd reads none
    try:
        change.unlink(directory, temporary)
        fd = os.open(
            temporary,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW,
            0o600,
            dir_fd=directory.fd,
        )
        try:
            left = memoryview(data)
            while left:  # write(2) may take less, on a disk that is about to be full for example
                left = left[os.write(fd, left) :]
            os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        change.rename(directory, temporary, directory, name)
    except BaseException:
        change.unlink(directory, temporary)
        raise
    if durable:
        change.sync_directory(directory)


def replace_file(place: Place, name: str, data: bytes) -> None:
    """Replace a small file of ours below /run. Raises Refused or SystemCallFailed."""
    with existing(place) as directory:
        try:
            write_whole(directory, name, data)
        except OSError as error:
            raise SystemCallFailed("write", directory.at(name), error) from error


def put(place: Place, name: str, data: bytes, mode: int) -> bool:
    """Put a file into a directory of the system's, which is made when it is missing; durable.

    Tells whether the directory was made. Raises OSError, Refused or SystemCallFailed; what was
    there before is there still.
    """
    fresh = not os.path.isdir(place.path)
    change.make_path(place.path)
    with existing(place) as directory:
        write_whole(directory, name, data, mode=mode, durable=True)
    return fresh


def read(path: str) -> bytes | None:
    """The content of a file of the system's; None when there is none. Raises SystemCallFailed."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SystemCallFailed("read", path, error) from error


def private(path: str, flags: int) -> int:
    """For open(): a file for its owner only, and never through a link."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)
