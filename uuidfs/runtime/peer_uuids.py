"""Peer UUIDs: what a domain's second self is called while it moves to another QEMU process.

A peer's UUID is the real one XOR this boot's migration UUID, /run/uuidfs/migration-uuid: the
idea of libvirt's RFC of 2020. The domain and its peer are one domain, with one lock.
"""

import os

from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import closing, opened
from uuidfs.files.entry import read_small
from uuidfs.files.small import write_file
from uuidfs.layout.names import normal_uuid
from uuidfs.layout.places import Layout
from uuidfs.runtime.flock import make_lock_directory

FILE = "migration-uuid"


def exchanged(uuid: str, migration: str) -> str:
    """The peer's UUID of a domain's, and the domain's of a peer's: XOR is its own inverse."""
    bits = int(uuid.replace("-", ""), 16) ^ int(migration.replace("-", ""), 16)
    digits = f"{bits:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def migration_uuid(layout: Layout) -> str | None:
    """This boot's migration UUID; None as long as nobody needed one."""
    fd = opened(layout.locks.parent)
    if fd is None:
        return None
    with closing(fd):
        try:
            return normal_uuid(read_small(fd, FILE, 100, FILE).decode().strip())
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        except OSError as error:
            path = f"{layout.locks.parent.path}/{FILE}"
            raise SystemCallFailed("read", path, error) from error


def make_migration_uuid(layout: Layout) -> str:
    """The same, made where there is none. Raises Refused or SystemCallFailed."""
    import uuid as uuids  # 3 ms that the hook does not need

    while (found := migration_uuid(layout)) is None:
        make_lock_directory(layout.locks)
        place = layout.locks.parent
        fd = opened(place)
        if fd is None:
            raise Refused(place.path, "this directory was removed")
        mine = f"{FILE}.{os.getpid()}"
        with closing(fd):
            try:
                write_file(fd, mine, f"{uuids.uuid4()}\n".encode())
                try:
                    change.link(fd, mine, fd, FILE)  # the first one wins, whoever asks as well
                finally:
                    change.unlink(fd, mine)
            except FileExistsError as error:
                if migration_uuid(layout) is None:
                    raise Refused(
                        f"{place.path}/{FILE}", "this holds no UUID", "remove it"
                    ) from error
            except OSError as error:
                raise SystemCallFailed("make", f"{place.path}/{FILE}", error) from error
    return found
