"""The name of a directory in the trash: UUID~TIME~REASON~BY."""

import re
from datetime import UTC, datetime

from uuidfs.layout.names import is_uuid

_LABEL = re.compile(
    r"(.{36})~(\d{8}T\d{6})~([^~]+)(?:~([a-z-]+))?(?:~\d{1,3})?", re.DOTALL | re.ASCII
)


def parse_label(label: str) -> tuple[str, datetime, str, str] | None:
    """UUID, time, reason and who; None when the name is not ours."""
    match = _LABEL.fullmatch(label)
    if match is None or not is_uuid(match[1]):
        return None
    try:
        when = datetime.strptime(match[2], "%Y%m%dT%H%M%S")
    except ValueError:
        return None
    return match[1], when.replace(tzinfo=UTC), match[3], match[4] or ""
