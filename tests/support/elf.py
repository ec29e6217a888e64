"""ELF files of the tests' own."""

import io
import os

from uuidfs.outdated.build_id import build_id


def with_another_build_id(data: bytes) -> bytes:
    """The same program, built anew as far as its note tells."""
    old = bytes.fromhex(id_of(data) or "")
    assert old, "it has no build-id"
    assert data.count(old) == 1
    return data.replace(old, bytes(byte ^ 0xFF for byte in old))


def id_of(data: bytes) -> str | None:
    """The build-id of a file with this content."""
    fd = os.memfd_create("elf")
    with io.FileIO(fd, "w+") as file:
        file.write(data)
        return build_id(fd)
