"""Build-ids of files for all kinds of machines, and of damaged ones.

tests/package/test_build_ids.py has those of real linkers.
"""

import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import elf

LARGEST = 1 << 22  # bytes of memory; the parser's own bound is a quarter


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("align", [4, 8])
def test_files_of_other_machines_are_read(bits: int, order: str, align: int) -> None:
    data = elf.make(b"\x01\x02\x03", bits=bits, order=order, align=align)
    assert elf.id_of(data) == "010203"
    assert elf.id_of(elf.make(None, bits=bits, order=order, align=align)) == ""


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fEL", bytes(4096)])
def test_what_is_no_elf_file_has_none(data: bytes) -> None:
    assert elf.id_of(data) is None


@settings(max_examples=500)
@given(
    st.sampled_from([32, 64]),
    st.sampled_from("<>"),
    st.lists(st.tuples(st.integers(4, 300), st.binary(min_size=1, max_size=9)), max_size=6),
    st.integers(0, 400),
)
def test_a_damaged_file_is_no_error(
    bits: int, order: str, damages: list[tuple[int, bytes]], length: int
) -> None:
    data = bytearray(elf.make(b"\x07" * 20, bits=bits, order=order))
    for at, damage in damages:
        data[at : at + len(damage)] = damage
    for part in (bytes(data), bytes(data[:length])):
        found = elf.id_of(part)
        assert (found is None) == (not part.startswith(b"\x7fELF"))


@given(st.binary(max_size=2000))
def test_noise_behind_the_magic_is_no_error(noise: bytes) -> None:
    for start in (b"\x7fELF", b"\x7fELF\x02\x01\x01", b"\x7fELF\x01\x02\x01"):
        assert isinstance(elf.id_of(start + noise), str)


def test_sizes_that_lie_cost_neither_time_nor_memory(tmp_path: Path) -> None:
    """A file of a tebibyte, with as many headers as there can be, each for all of it."""
    path = tmp_path / "large"
    headers = bytearray(elf.make(b"\x07")[:64])
    headers[54:58] = (56).to_bytes(2, "little") + b"\xff\xff"
    one = elf.program(4, 0, 1 << 40, 64, "<", 4)
    path.write_bytes(bytes(headers) + one * 65535)
    os.truncate(path, 1 << 40)
    tracemalloc.start()
    try:
        assert elf.id_of_file(path) == ""
        assert tracemalloc.get_traced_memory()[1] < LARGEST
    finally:
        tracemalloc.stop()


def test_notes_that_do_not_end_are_read_once() -> None:
    """A note without content and name is twelve bytes: the next one begins behind it."""
    data = elf.make(None)
    data = data[:176] + bytes(1 << 16)
    data = data[:120] + elf.program(4, 176, 1 << 16, 64, "<", 4) + data[176:]
    assert elf.id_of(data) == ""
