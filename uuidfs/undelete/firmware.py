"""Where the firmware's files of a domain that comes back go, when another domain has taken one.

A path that a definition names may be another domain's by now: libvirt gives a new domain of the
old name the same one. Two domains never share a file: the one that comes back gets a path of its
own, called after its UUID.
"""

import posixpath

from uuidfs.errors import Refused, show
from uuidfs.files.trusted import TrustedDirs
from uuidfs.firmware import paths
from uuidfs.firmware.definitions import Definitions
from uuidfs.firmware.names import called_after
from uuidfs.host.redefine import parse
from uuidfs.layout.places import Layout
from uuidfs.survey.scan import Scan
from uuidfs.undelete.documents import Documents


def moves(layout: Layout, scan: Scan, uuid: str, config: str) -> dict[str, str]:
    """The paths in a definition that another domain names too, and what to call them instead.

    Raises Refused for a path whose name libvirt would not choose.
    """
    mine = [c for c in paths.claims(layout, parse(config)) if not c.implied]
    if not mine:
        return {}
    taken = _claimed(layout, scan, uuid)
    found = {}
    for claim in mine:
        other = taken.get(claim.path)
        if other is None:
            continue
        directory, entry = posixpath.split(claim.path)
        try:
            new = f"{directory}/{called_after(claim.kind, entry, uuid)}"
        except ValueError:
            raise Refused(
                claim.path,
                f"the domain {show(other)!r} uses this, too",
                "give that one a file of its own",
            ) from None
        if new in taken:
            raise Refused(new, f"the domain {show(taken[new])!r} uses this")
        found[claim.path] = new
    return found


def moved(layout: Layout, documents: Documents, changes: dict[str, str]) -> Documents:
    """The documents with these paths changed."""
    if not changes:
        return documents

    def one(xml: str) -> str:
        return paths.moved(layout, xml, changes, None) or xml

    return documents._replace(
        config=one(documents.config),
        snapshots=tuple(map(one, documents.snapshots)),
        checkpoints=tuple(map(one, documents.checkpoints)),
    )


def _claimed(layout: Layout, scan: Scan, uuid: str) -> dict[str, str]:
    """The paths that other domains name: path -> name. Raises UuidfsError."""
    with TrustedDirs(layout) as dirs:
        domains, _ = Definitions(layout).all(dirs, scan)
    return {path: d.name for d in domains if d.uuid != uuid for path in d.paths}
