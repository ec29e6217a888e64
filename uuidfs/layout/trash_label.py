"""The name of a directory in a trash: UUID~TIME~REASON~BY, or UUID~TIME~REASON~BY~2.

Whoever puts a file into a trash writes such a label; whoever lists a trash parses it. TIME is
UTC, as 20261124T093000Z without the Z. The number counts files of one name in one second.
The hook loads this module, so the time stays text here.
"""

import re
from enum import Enum

from uuidfs.layout.names import is_uuid

# Compiled when first needed, by re's own cache: the hook writes labels and parses none.
_LABEL = r"(.{36})~(\d{8}T\d{6})~([^~]+)(?:~([a-z-]+))?(?:~\d{1,3})?"


class Reason(Enum):
    """Why a file is in the trash. The value is the label's REASON."""

    UNDEFINED = "undefined"
    """Its domain has no name any more."""
    DELETED = "deleted-by-libvirt"
    """Its name is gone, and its domain is there."""
    ROTATED_AWAY = "rotated-away"
    """A log that fell off the end of its rotations."""
    LEFT_OVER = "left-over"
    """The only name that a kill left of this version."""
    UNNAMED = "no-name-refers-to-it"
    """A revert found it in the store."""
    RETENTION = "retention"
    """A log of a domain that is gone, older than logs.retention."""
    LOST_A_RENAME = "lost-a-rename"
    """A file of the losing name, when a rename that was cut in half was finished."""
    SUPERSEDED = "superseded"
    """A misfiled checkpoint; libvirt has written a newer one in the right place."""

    @property
    def words(self) -> str:
        """What a dry run prints."""
        return self.value.replace("-", " ")


class TrashLabel:
    """``reason`` and ``by`` are text: an older or newer version may know others. ``by`` is ""
    where a version before 0.1.0 wrote the label."""

    def __init__(self, uuid: str, time: str, reason: str, by: str) -> None:
        self.uuid = uuid
        self.time = time
        self.reason = reason
        self.by = by

    def text(self, number: int = 0) -> str:
        """The directory's name; ``number`` from 1 on for further files of one second."""
        label = "~".join((self.uuid, self.time, self.reason, self.by))
        return f"{label}~{number}" if number else label


def parse_label(name: str) -> TrashLabel | None:
    """Return the label that a directory's name is, or None when uuidfs did not write it."""
    match = re.fullmatch(_LABEL, name, re.DOTALL | re.ASCII)
    if match is None or not is_uuid(match[1]):
        return None
    return TrashLabel(match[1], match[2], match[3], match[4] or "")
