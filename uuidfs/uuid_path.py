"""Where a domain's files are under its UUID, as ``uuidfs path`` tells scripts."""

import os
import shlex
from typing import NamedTuple

from uuidfs.errors import show
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind, Layout
from uuidfs.status import FileState, domain_state
from uuidfs.survey.identity import Reader
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.resolve import uuid_of
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor


class UuidPath(NamedTuple):
    """The path, and "" or why nothing is there, with what to do."""

    path: str
    missing: str = ""


def uuid_path(layout: Layout, domain: str, kind: Kind, reader: Reader = read_lxml) -> UuidPath:
    """Where a domain's files of one kind are, or will be, under its UUID.

    Raises NoSuchDomain, AmbiguousDomain, SystemCallFailed.
    """
    with TrustedDirs(layout) as dirs:
        surveyor = Surveyor(dirs, reader)
        scan = scan_all(surveyor.documents)
        uuid = uuid_of(scan, domain)
        path = layout.uuid_path(kind, uuid)
        if os.path.lexists(path):
            return UuidPath(path)
        found = domain_state(surveyor, scan, uuid)
    called = show(found.name or uuid)
    files = [file for file in found.files if file.kind is kind]
    if any(file.state is FileState.MISSING for file in files):
        return UuidPath(path, f"the file is gone, and {called} links to it; run: uuidfs check")
    plain = [file.name_path for file in files if file.state is FileState.PLAIN and file.name_path]
    if plain:
        command = f"uuidfs convert {shlex.quote(called)}"
        return UuidPath(path, f"not converted, it is {show(plain[0])}; run: {command}")
    return UuidPath(path, f"{called} has no {kind.value}")
