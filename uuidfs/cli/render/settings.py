"""How the settings look, as text or versioned JSON."""

from collections.abc import Callable
from textwrap import wrap

from uuidfs.cli.render.text import as_json
from uuidfs.durations import FOREVER
from uuidfs.errors import show
from uuidfs.layout.places import Kind
from uuidfs.settings import Loaded
from uuidfs.settings_keys import KEYS, Configuration


def config_json(loaded: Loaded) -> str:
    """config show: each key's value as TOML has it, in seconds where it is a time."""
    keys = {}
    for key in KEYS:
        value = getattr(loaded.configuration, key.attribute)
        is_kinds = isinstance(value, frozenset)
        keys[key.dotted] = {
            "value": [k.value for k in Kind if k in value]
            if is_kinds
            else key.write(value).strip('"'),
            "seconds": None if is_kinds else value,
            "default": key.attribute not in loaded.given,
        }
    return as_json(path=loaded.path, forever=FOREVER, keys=keys)


def config_lines(loaded: Loaded) -> list[str]:
    """config show: TOML that could be the file, a comment at each key."""
    lines = [f"# {show(loaded.path)}" if loaded.path else "# this layout has no configuration file"]
    source = {True: "from the file", False: "default"}
    return lines + _toml(
        loaded.configuration, lambda attribute: f"  # {source[attribute in loaded.given]}", ""
    )


def example_lines() -> list[str]:
    """packaging/uuidfs.toml: every key, commented out, with its default."""
    return [
        "# /etc/uuidfs/uuidfs.toml, the configuration of uuidfs. Every key is optional; what is",
        "# commented out here is the default. Lengths of time are a number and one of ms, s, min,",
        "# h, d, w. After a change: uuidfs config check && systemctl reload uuidfs",
        *_toml(Configuration(), lambda _: "", "#"),
    ]


def _toml(configuration: Configuration, note: Callable[[str], str], prefix: str) -> list[str]:
    lines = []
    section = ""
    for key in KEYS:
        lines.append("")
        if key.table != section:
            section = key.table
            lines += [f"{prefix}[{section}]"]
        lines += [f"# {line}" for line in wrap(key.about, 96)]
        value = key.write(getattr(configuration, key.attribute))
        lines.append(f"{prefix}{key.name} = {value}{note(key.attribute)}")
    return lines
