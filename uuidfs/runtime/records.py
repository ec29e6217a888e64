"""Versioned JSON records below /run and in the store: a NamedTuple as one JSON object.

Fields that this version does not know are ignored, so that a newer version may add some;
"version" is raised when a field changes its meaning.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

VERSION = 1
LIMIT = 1 << 16  # bytes; more is no record of ours

Record = TypeVar("Record", bound=tuple[Any, ...])


def record_bytes(fields: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    import json  # 3 ms that the hook and most runs do not need

    return (json.dumps({"version": VERSION, **fields}) + "\n").encode()


def parse_record(data: bytes, make: type[Record]) -> Record:
    """Build a record from JSON. Raises ValueError when it is none, or a field is missing."""
    import json

    fields = json.loads(data)
    if not isinstance(fields, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 - one class for what is wrong in it
    known: tuple[str, ...] = vars(make)["_fields"]
    try:
        return make(**{key: fields[key] for key in known if key in fields})
    except TypeError as error:
        raise ValueError(str(error)) from error
