"""The keys of uuidfs.toml: how each is read, written and explained, and its default."""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

from uuidfs import durations
from uuidfs.layout.places import Kind
from uuidfs.runtime.domain_locks import DEFAULT_TIMEOUT

_DAY = 86400.0


class Configuration(NamedTuple):
    """What is in force. Times in seconds; None stands for "for ever"."""

    kinds: frozenset[Kind] = frozenset(Kind)
    lock_timeout: float = DEFAULT_TIMEOUT
    debounce: float = 0.05
    resync: float = 600.0
    trash_retention: float | None = 30 * _DAY
    log_retention: float | None = None
    textfile: str = ""
    firmware: str = "renamed"
    keep_secrets: bool = True


class Key(NamedTuple):
    """One key of the file: its table (or ""), its name there, its attribute, and what it does."""

    table: str
    name: str
    attribute: str
    read: Callable[[object], object]  # raises ValueError with the reason
    write: Callable[[Any], str]  # the value's TOML
    about: str

    @property
    def dotted(self) -> str:
        """What messages call it."""
        return f"{self.table}.{self.name}" if self.table else self.name


def _kinds(value: object) -> frozenset[Kind]:
    known = ", ".join(f'"{kind.value}"' for kind in Kind)
    if not isinstance(value, list) or not value:
        raise ValueError(f"write a list of one or more of {known}")
    for each in value:
        if each not in [kind.value for kind in Kind]:
            raise ValueError(f"{each!r} is not one of {known}")
    return frozenset(Kind(each) for each in value)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f'{value!r} is not a text in quotes, such as "30d"')  # noqa: TRY004
    return value


def _duration(value: object) -> float:
    return durations.parse(_text(value))


def _interval(value: object) -> float:
    seconds = _duration(value)
    if seconds < 1:
        raise ValueError(f"{value!r} is too short: at least one second")
    return seconds


def _retention(value: object) -> float | None:
    return durations.parse_or_forever(_text(value))


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")  # noqa: TRY004
    return value


def _boolean_toml(value: bool) -> str:
    return "true" if value else "false"


def _path(value: object) -> str:
    text = _text(value)
    if text and not os.path.isabs(text):
        raise ValueError(f"{text!r} is not an absolute path")
    return text


def _firmware(value: object) -> str:
    known = ("off", "renamed", "all")
    if value not in known:
        raise ValueError(f"{value!r} is none of " + ", ".join(f'"{each}"' for each in known))
    return str(value)


def _path_toml(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _kinds_toml(kinds: frozenset[Kind]) -> str:
    return "[" + ", ".join(f'"{kind.value}"' for kind in Kind if kind in kinds) + "]"


def _time_toml(seconds: float | None) -> str:
    return f'"{durations.words(seconds)}"'


KEYS = (
    Key(
        "", "kinds", "kinds", _kinds, _kinds_toml, "Which files the reconciler moves to UUID names."
    ),
    Key(
        "",
        "lock-timeout",
        "lock_timeout",
        _duration,
        _time_toml,
        "How long commands wait for a domain that another program is at work on.",
    ),
    Key(
        "",
        "firmware",
        "firmware",
        _firmware,
        _path_toml,
        "Which definitions get firmware paths of their UUID: those of domains that were renamed "
        '("renamed"), of all domains ("all"), or none ("off").',
    ),
    Key(
        "reconcile",
        "debounce",
        "debounce",
        _duration,
        _time_toml,
        "How long a full pass waits for more events, so that one pass serves them all.",
    ),
    Key(
        "reconcile",
        "resync",
        "resync",
        _interval,
        _time_toml,
        "How often the reconciler looks at everything, whatever events say; at least 1s.",
    ),
    Key(
        "trash",
        "retention",
        "trash_retention",
        _retention,
        _time_toml,
        'How long files stay in the trash; "forever" never empties it.',
    ),
    Key(
        "trash",
        "keep-secrets",
        "keep_secrets",
        _boolean,
        _boolean_toml,
        "Whether the NVRAM, TPM state and managed save of an undefined domain stay for "
        "uuidfs undelete.",
    ),
    Key(
        "logs",
        "retention",
        "log_retention",
        _retention,
        _time_toml,
        "How long the logs of undefined domains stay after their last line; then they go to the "
        'trash. "forever" keeps them.',
    ),
    Key(
        "metrics",
        "textfile",
        "textfile",
        _path,
        _path_toml,
        "A file for node_exporter's textfile collector, whose name has to end in .prom; needs "
        'prometheus_client. "" writes none.',
    ),
)
