"""Build-ids of what real linkers wrote, as the real readelf reads them."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.elf import id_of_file

GCC = shutil.which("gcc")
READELF = shutil.which("readelf")


def compiled(directory: Path, *words: str) -> Path:
    source, program = directory / "main.c", directory / "main"
    source.write_text("int main(void) { return 0; }\n")
    subprocess.run(["gcc", "-o", program, source, *words], check=True)
    return program


@pytest.mark.skipif(GCC is None, reason="needs gcc")
@pytest.mark.parametrize("words", [(), ("-static",), ("-no-pie",), ("-shared", "-fPIC")])
def test_what_the_linker_wrote_is_read(words: tuple[str, ...], tmp_path: Path) -> None:
    digits = "00ff" * 10
    assert id_of_file(compiled(tmp_path, f"-Wl,--build-id=0x{digits}", *words)) == digits
    assert id_of_file(compiled(tmp_path, "-Wl,--build-id=none", *words)) == ""


@pytest.mark.skipif(READELF is None, reason="needs readelf")
def test_system_programs_have_what_readelf_says() -> None:
    several = ["/bin/sh", "/usr/bin/qemu-system-x86_64", *map(str, Path("/usr/bin").glob("z*"))]
    for path in several:
        if not os.path.exists(path):
            continue
        said = subprocess.run(["readelf", "-n", path], capture_output=True, text=True, check=False)
        found = re.search(r"Build ID: ([0-9a-f]+)", said.stdout)
        assert (id_of_file(path) or None) == (found[1] if found else None), path
