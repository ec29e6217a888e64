"""Whether a host has any firmware files: most of what is here costs an import of lxml."""

import os

from uuidfs.layout.places import Kind, Layout


def has_firmware(layout: Layout) -> bool:
    """Whether libvirt, or we, have a directory for it: a host without needs none of this.

    libvirt's packages make nvram/ and swtpm/, its daemon varstore/ (12.1).
    """
    names = ("nvram", "varstore")
    return any(os.path.isdir(layout.lib.child(name).path) for name in names) or os.path.isdir(
        layout.kept.path
    )


def may_be_inherited(layout: Layout) -> bool:
    """Whether there may be anything that a new domain gets by its name or its UUID."""
    autostart = layout.names[Kind.CONFIG].child("autostart").path
    paths = (layout.state.parent.child("swtpm").path, autostart)
    return has_firmware(layout) or any(os.path.isdir(path) for path in paths)
