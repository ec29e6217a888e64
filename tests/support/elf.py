"""ELF files of the tests' own."""

import io
import os
import struct
from pathlib import Path

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


def id_of_file(path: Path | str) -> str | None:
    """The build-id of a file."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return build_id(fd)
    finally:
        os.close(fd)


def make(build: bytes | None, *, bits: int = 64, order: str = "<", align: int = 4) -> bytes:
    """A small ELF file: a header, two program headers, a note of somebody else's and ours."""
    header, size = (64, 56) if bits == 64 else (52, 32)
    notes = note(b"SUSE\0", 3, b"no build-id", order, align)
    if build is not None:
        notes += note(b"GNU\0", 1, bytes(16), order, align) + note(b"GNU\0", 3, build, order, align)
    ident = b"\x7fELF" + bytes((bits // 32, 1 if order == "<" else 2, 1)) + bytes(9)
    word = "Q" if bits == 64 else "I"
    rest = struct.pack(f"{order}HHI{word}{word}{word}IHHHHHH", 3, 62, 1, 0, header, 0, 0, header,
                       size, 2, 0, 0, 0)  # fmt: skip
    return ident + rest + program(1, 0, 1, bits, order, 1) + program(
        4, header + 2 * size, len(notes), bits, order, align
    ) + notes  # fmt: skip


# write(1, "ready", 6) with a line feed, then pause() again and again:
#   mov eax,1; mov edi,1; lea rsi,[rip+16]; mov edx,6; syscall
#   again: mov eax,34; syscall; jmp again
_CODE = bytes.fromhex(
    "b801000000" "bf01000000" "488d3510000000" "ba06000000" "0f05" "b822000000" "0f05" "ebf7"
) + b"ready\n"  # fmt: skip
_FIXED = 0x400000


def at_a_fixed_address() -> bytes:
    """A program for x86-64 that says "ready" and waits, linked to where it has to lie."""
    start = 64 + 56
    head = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, _FIXED + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    size = start + len(_CODE)
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, _FIXED, _FIXED, size, size, 4096)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + head + load + _CODE


def program(kind: int, offset: int, size: int, bits: int, order: str, align: int) -> bytes:
    """One program header."""
    if bits == 64:
        return struct.pack(f"{order}IIQQQQQQ", kind, 4, offset, 0, 0, size, size, align)
    return struct.pack(f"{order}IIIIIIII", kind, offset, 0, 0, size, size, 4, align)


def note(owner: bytes, kind: int, content: bytes, order: str, align: int) -> bytes:
    """One note, with its padding."""
    data = struct.pack(order + "III", len(owner), len(content), kind) + owner
    data += bytes(-len(data) % align) + content
    return data + bytes(-len(data) % align)
