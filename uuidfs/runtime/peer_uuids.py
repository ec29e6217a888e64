"""Peer UUIDs: what a domain's second self is called while it moves to another QEMU process.

A peer's UUID is the real one XOR this boot's migration UUID, /run/uuidfs/migration-uuid: the
idea of libvirt's RFC of 2020. The domain and its peer are one domain, with one lock.
"""

import os
import threading

from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.files import change
from uuidfs.files.directory import existing, opened
from uuidfs.files.small import write_whole
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
    """This boot's migration UUID; None as long as nobody needed one. Raises UuidfsError."""
    directory = opened(layout.locks.parent)
    if directory is None:
        return None
    with directory:
        data = directory.read(FILE, 100)
    try:
        return normal_uuid(data.decode().strip()) if data is not None else None
    except UnicodeDecodeError:
        return None


def make_migration_uuid(layout: Layout) -> str:
    """The same, made where there is none. Raises Refused or SystemCallFailed."""
    import uuid as uuids  # 3 ms that the hook does not need

    while (found := migration_uuid(layout)) is None:
        make_lock_directory(layout.locks)
        # Of this thread's own: trips that begin at once are threads of one process.
        mine = f"{FILE}.{os.getpid()}.{threading.get_ident()}"
        with existing(layout.locks.parent) as directory:
            path = directory.at(FILE)
            try:
                write_whole(directory, mine, f"{uuids.uuid4()}\n".encode())
                try:
                    # The first one wins, whoever asks as well.
                    change.link(directory, mine, directory, FILE)
                finally:
                    change.unlink(directory, mine)
            except FileExistsError as error:
                if migration_uuid(layout) is None:
                    raise Refused(path, "this holds no UUID", "remove it") from error
            except OSError as error:
                raise SystemCallFailed("make", path, error) from error
    return found


def peer_name(name: str) -> str:
    """What a domain is called in the peer."""
    # libvirt names files after it, with 255 bytes for NAME.xml.new.
    return f"{os.fsencode(name)[:200].decode(errors='ignore')}-incoming"
