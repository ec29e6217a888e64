"""The configuration: /etc/uuidfs/uuidfs.toml, every key of it optional.

Below ``--root DIR`` it is DIR/etc/uuidfs/uuidfs.toml; for qemu:///session it is
$XDG_CONFIG_HOME/uuidfs/uuidfs.toml, beside libvirt's own directory there. qemu:///embed has no
natural place for one: the defaults hold.

Whoever can write to this file decides when the trash is emptied, so it is refused as a store
is when anybody else but root (or the session's user) could.
"""

import os
import re
import stat
import tomllib
from collections.abc import Mapping
from typing import NamedTuple

from uuidfs.errors import ConfigError, Refused
from uuidfs.files.directory import opened
from uuidfs.layout.places import Kind, Layout, Place
from uuidfs.settings_keys import KEYS, Configuration

FILE = "uuidfs.toml"

_MAX_BYTES = 64 * 1024


class Loaded(NamedTuple):
    """The configuration, where its file is or would be, and the attributes that the file sets."""

    configuration: Configuration
    path: str | None = None
    given: frozenset[str] = frozenset()


def place(layout: Layout) -> Place | None:
    """The directory that the file is in; None for a layout that has no configuration."""
    config = layout.names[Kind.CONFIG]
    if config.below[-2:] == ("libvirt", "qemu"):
        return Place(config.base, (*config.below[:-2], "uuidfs"))
    if config.path.endswith("/libvirt/qemu"):
        return Place(config.path.removesuffix("/libvirt/qemu") or "/", ("uuidfs",))
    return None


def load(layout: Layout) -> Configuration:
    """What is in force for this layout; the defaults where there is no file.

    Raises ConfigError for a file that cannot be trusted or understood, SystemCallFailed for one
    that cannot be read.
    """
    return read(layout).configuration


def read(layout: Layout) -> Loaded:
    """As :func:`load`, with where it comes from."""
    where = place(layout)
    if where is None:
        return Loaded(Configuration())
    path = f"{where.path}/{FILE}"
    try:
        data = _bytes(where, path)
    except Refused as error:
        raise ConfigError(error.path, error.reason) from error
    if data is None:
        return Loaded(Configuration(), path)
    return parse(data, path)


def _bytes(where: Place, path: str) -> bytes | None:
    directory = opened(where)
    if directory is None:
        return None
    with directory:
        found = directory.stat(FILE)
        if found is None:
            return None
        # The directory counts as well: who may write there may put another file in place.
        _trust(directory.status(), where.path)
        _trust(found, path)
        return directory.read(FILE, _MAX_BYTES)


def _trust(found: os.stat_result, path: str) -> None:
    if found.st_uid not in {0, os.geteuid()}:
        raise ConfigError(
            path,
            f"it belongs to uid {found.st_uid}; check what is in it, then: "
            f"chown {os.geteuid()} {path}",
        )
    if found.st_mode & 0o022 and not stat.S_ISLNK(found.st_mode):
        raise ConfigError(
            path,
            f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o}); "
            f"check what is in it, then: chmod go-w {path}",
        )


def parse(data: bytes, path: str) -> Loaded:
    """Read a file's content; raises ConfigError with the line and the key."""
    try:
        text = data.decode()
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(path, "it is not UTF-8", line) from error
    except tomllib.TOMLDecodeError as error:
        raise _syntax(path, text, error) from error
    values: dict[str, object] = {}
    try:
        _take(document, "", values)
    except _BadKeyError as bad:
        dotted = ".".join(bad.key)
        raise ConfigError(path, bad.reason, line_of(text, bad.key), dotted) from bad
    return Loaded(Configuration()._replace(**values), path, frozenset(values))  # type: ignore[arg-type] # as KEYS says


class _BadKeyError(Exception):
    def __init__(self, key: tuple[str, ...], reason: str) -> None:
        super().__init__(reason)
        self.key = key
        self.reason = reason


def _take(table: Mapping[str, object], name: str, values: dict[str, object]) -> None:
    known = {key.name: key for key in KEYS if key.table == name}
    tables = {key.table for key in KEYS if key.table} if not name else set()
    for entry, value in table.items():
        path = (name, entry) if name else (entry,)
        if entry in tables:
            if not isinstance(value, dict):
                raise _BadKeyError(path, f"this is a table: write [{entry}]")
            _take(value, entry, values)
        elif entry not in known:
            names = ", ".join(sorted({*known, *tables}))
            raise _BadKeyError(path, f"there is no such key; known here: {names}")
        else:
            try:
                values[known[entry].attribute] = known[entry].read(value)
            except ValueError as error:
                raise _BadKeyError(path, str(error)) from error


def _syntax(path: str, text: str, error: tomllib.TOMLDecodeError) -> ConfigError:
    at = re.search(r"\(at line (\d+), column \d+\)", str(error))
    line = int(at[1]) if at else text.count("\n") + 1
    return ConfigError(path, re.sub(r" \(at .*\)$", "", str(error)), line)


def line_of(text: str, key: tuple[str, ...]) -> int | None:
    """The line on which a well-formed document sets ``key``; tomllib does not tell.

    The document is read statement by statement, each after the table header in force, so
    that a text of several lines that looks like a key is not taken for one.
    """
    header = statement = ""
    start = 1
    for number, line in enumerate(text.split("\n"), 1):
        if not statement:
            start = number
        statement += line + "\n"
        try:
            parsed = tomllib.loads(header + statement)
        except tomllib.TOMLDecodeError:
            continue  # a value of several lines
        if _has(parsed, key):
            return start
        if statement.lstrip().startswith("["):
            header = statement
        statement = ""
    return None


def _has(document: object, key: tuple[str, ...]) -> bool:
    for part in key:
        if isinstance(document, list):  # [[table]]
            document = document[-1] if document else None
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]
    return True
