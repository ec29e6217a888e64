"""Metadata that local migrations keep aside: /var/lib/libvirt/by-uuid/aside/UUID.json.

The hook imports this: it costs nothing. uuidfs.localmigration.set_aside writes the files.
"""

import os

from uuidfs.layout.places import Layout


def path_of(layout: Layout, uuid: str) -> str:
    """Where a domain's metadata is kept while it is not in libvirt."""
    return f"{layout.aside.path}/{uuid}.json"


def is_kept(layout: Layout, uuid: str) -> bool:
    """Whether metadata of this domain is kept aside."""
    return os.path.lexists(path_of(layout, uuid))
