"""The GNU build-id of an ELF file: elf(5), and "Note Section" in the System V ABI.

Own code: Debian 12's python3-pyelftools fits, but would become a dependency of every host for this
one note. Each size that a header names has a bound here, and a damaged file is one without it.
"""

import os
import struct
from collections.abc import Iterator

_MAGIC = b"\x7fELF"
_PT_NOTE = 4
_NT_GNU_BUILD_ID = 3
_OWNER = b"GNU\0"

_HEADERS = 1 << 16  # bytes of program headers; QEMU's are 14 of 56 bytes
_NOTES = 1 << 16  # bytes of one segment of notes; usual are below 100
_SEGMENTS = 16  # segments of notes that are read
_FAR = 1 << 62  # no file is so long, and pread(2) takes no more

# Of a header: where e_phoff is, and the two of e_phentsize and e_phnum. Of a program header: its
# least size, and where p_offset, p_filesz and p_align are.
_LAYOUTS = {
    1: ("I", 28, 42, 32, (4, 16, 28)),  # ELFCLASS32
    2: ("Q", 32, 54, 56, (8, 32, 48)),  # ELFCLASS64
}
_ORDERS = {1: "<", 2: ">"}


def build_id(fd: int) -> str | None:
    """The build-id of an open file in hexadecimal digits, "" for an ELF file that has none.

    None for what is no ELF file. Whatever the file holds, this reads 1.1 MiB at most. Raises
    OSError when the file cannot be read.
    """
    header = os.pread(fd, 64, 0)
    if not header.startswith(_MAGIC):
        return None
    for note in _segments(fd, header):
        found = _in_notes(*note)
        if found:
            return found
    return ""


def _segments(fd: int, header: bytes) -> Iterator[tuple[str, int, bytes]]:
    """The byte order, alignment and content of each segment of notes."""
    if len(header) < 64 or header[4] not in _LAYOUTS or header[5] not in _ORDERS:
        return  # with its program headers even a 32-bit file is longer
    order, (word, start, counts, least, places) = _ORDERS[header[5]], _LAYOUTS[header[4]]
    (offset,) = struct.unpack_from(order + word, header, start)
    size, count = struct.unpack_from(order + "HH", header, counts)
    if size < least or offset > _FAR:
        return
    table = os.pread(fd, min(size * count, _HEADERS), offset)
    left = _SEGMENTS
    for at in range(0, len(table) - size + 1, size):
        (kind,) = struct.unpack_from(order + "I", table, at)
        if kind != _PT_NOTE or not left:
            continue
        left -= 1
        where, length, align = (
            struct.unpack_from(order + word, table, at + place)[0] for place in places
        )
        if where <= _FAR:
            yield order, 8 if align == 8 else 4, os.pread(fd, min(length, _NOTES), where)


def _in_notes(order: str, align: int, data: bytes) -> str:
    """The build-id among some notes; empty when there is none."""
    at = 0
    while at + 12 <= len(data):
        name, size, kind = struct.unpack_from(order + "III", data, at)
        begin = _up(at + 12 + name, align)
        end = begin + size
        if end > len(data):
            break
        if kind == _NT_GNU_BUILD_ID and data[at + 12 : at + 12 + name] == _OWNER and size:
            return data[begin:end].hex()
        at = _up(end, align)  # always further: 12 bytes at least
    return ""


def _up(number: int, align: int) -> int:
    return (number + align - 1) // align * align
