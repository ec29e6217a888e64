"""The plain bytes of one log file, whatever it is packed with: by pieces, never as a whole."""

import bz2
import gzip
import lzma
import os
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from typing import IO

from uuidfs.errors import UuidfsError

CHUNK = 1 << 18  # bytes

# What Python 3.11 cannot unpack, and who can; gzip reads compress(1)'s files as well.
_PROGRAMS = {".zst": "zstd", ".lz4": "lz4", ".Z": "gzip"}

PACKED = (".gz", ".bz2", ".xz", ".lzma", *_PROGRAMS)


class Damaged(UuidfsError):
    """A log file cannot be read, or not to its end; what came before was given out."""


def packing(suffix: str) -> str:
    """How a rotation is packed: the end of its suffix, "" where it is plain.

    >>> packing(".1.gz")
    '.gz'
    """
    return next((end for end in PACKED if suffix.endswith(end)), "")


def stream(fd: int, suffix: str, path: str) -> Iterator[bytes]:
    """All bytes of a file, unpacked, from its beginning; never an empty piece.

    The descriptor stays open, and its offset counts for nothing. Raises Damaged, which names
    ``path``, when the file is cut off or broken, or when nobody here can unpack it.
    """
    packed = packing(suffix)
    if packed in _PROGRAMS:
        yield from _by_program(fd, _PROGRAMS[packed], packed, path)
    elif packed:
        yield from _unpacked(fd, packed, path)
    else:
        yield from plain(fd, 0, path)


def plain(fd: int, offset: int, path: str) -> Iterator[bytes]:
    """The bytes of a plain file from an offset to its end, also to an end that moves meanwhile."""
    try:
        while data := os.pread(fd, CHUNK, offset):
            offset += len(data)
            yield data
    except OSError as error:
        raise _damaged(path, f"it cannot be read: {error.strerror}") from error


def _unpacked(fd: int, packed: str, path: str) -> Iterator[bytes]:
    try:
        with open(os.dup(fd), "rb") as raw:
            raw.seek(0)
            with _unpacker(raw, packed) as file:
                while data := file.read1(CHUNK):
                    yield data
    except EOFError as error:
        raise _damaged(path, "it is cut off; what follows is left out") from error
    except (OSError, zlib.error, lzma.LZMAError) as error:
        raise _damaged(path, f"it is damaged ({error}); what follows is left out") from error


def _unpacker(raw: IO[bytes], packed: str) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile:
    if packed == ".gz":
        return gzip.GzipFile(fileobj=raw)
    return bz2.BZ2File(raw) if packed == ".bz2" else lzma.LZMAFile(raw)


def _by_program(fd: int, name: str, packed: str, path: str) -> Iterator[bytes]:
    program = shutil.which(name)
    if program is None:
        why = f"this rotation is left out: {packed} needs the program {name}, which is not here"
        raise _damaged(path, why)
    with open(os.dup(fd), "rb") as raw:
        raw.seek(0)
        with subprocess.Popen(  # noqa: S603 - a program by its whole path, without a shell
            [program, "-dc"], stdin=raw, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            try:
                while process.stdout is not None and (data := process.stdout.read(CHUNK)):
                    yield data
                code = process.wait()
            finally:
                process.kill()  # whoever reads has enough; one that has ended takes no harm
    if code:
        raise _damaged(path, f"it is damaged ({name} ended with {code}); what follows is left out")


def _damaged(path: str, reason: str) -> Damaged:
    return Damaged(f"{path}: {reason}", path, reason)
