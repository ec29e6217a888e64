"""Whether a host has any firmware files: most of what is here costs an import of lxml."""

import os

from uuidfs.layout.places import Layout


def has_firmware(layout: Layout) -> bool:
    """Whether libvirt, or we, have a directory for it: a host without needs none of this."""
    names = ("nvram", "varstore")
    return any(os.path.isdir(layout.lib.child(name).path) for name in names) or os.path.isdir(
        layout.kept.path
    )
