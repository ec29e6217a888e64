"""Installs a wheel below a build root as Fedora's %pyproject_install does. See macros.

Fedora's brp-python-bytecompile compiles what is installed; nothing does so at an installation, and
the units may not write to /usr. So it is done here: by the source's hash, not by a time, which an
archive may round.
"""

import compileall
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

PYTHON = "/usr/bin/python3"
wheel, root, site = sys.argv[1:]
scheme = {
    "purelib": site,
    "platlib": site,
    "scripts": "/usr/bin",
    "data": "/usr",
    "headers": "/usr/include",
}
destination = SchemeDictionaryDestination(
    scheme, interpreter=PYTHON, script_kind="posix", destdir=root
)
with WheelFile.open(wheel) as source:
    install(source, destination, additional_metadata={"INSTALLER": b"rpm\n"})
for script in Path(f"{root}/usr/bin").iterdir():
    script.write_text(script.read_text().replace(f"#!{PYTHON}\n", f"#!{PYTHON} -sP\n"))
compiled = compileall.compile_dir(
    f"{root}{site}", ddir=site, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH
)
sys.exit(0 if compiled else 1)
