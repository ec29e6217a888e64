"""Prints the requirements of the .dist-info directories named on standard input. See macros."""

import re
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

for line in sys.stdin:
    directory = Path(line.strip())
    print(f"python(abi) = {directory.parts[-3].removeprefix('python')}")
    for requirement in PathDistribution(directory).requires or []:
        if "extra ==" in requirement:
            continue
        found = re.fullmatch(r"([\w.-]+)\s*\(?\s*(?:(>=)\s*([\d.]+))?\s*\)?", requirement)
        if found is None:
            sys.exit(f"requires.py: cannot read {requirement!r}")
        name = re.sub(r"[-_.]+", "-", found[1]).lower()
        print(f"python3dist({name})", *(found.groups()[1:] if found[2] else ()))
