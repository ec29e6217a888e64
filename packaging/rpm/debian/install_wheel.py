"""Installs a wheel below a build root as Fedora's %pyproject_install does. See macros."""

import sys

from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile

wheel, root, site = sys.argv[1:]
scheme = {"purelib": site, "platlib": site, "scripts": "/usr/bin", "data": "/usr",
          "headers": "/usr/include"}
destination = SchemeDictionaryDestination(
    scheme, interpreter="/usr/bin/python3 -sP", script_kind="posix", destdir=root
)
with WheelFile.open(wheel) as source:
    install(source, destination, additional_metadata={"INSTALLER": b"rpm\n"})
