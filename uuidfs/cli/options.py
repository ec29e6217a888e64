"""Options that several commands have, and the layout that they choose."""

import contextlib
import math
import os
import re

import typer

from uuidfs import durations
from uuidfs.cli.completion import domain_names
from uuidfs.cli.output import configured, rooted
from uuidfs.errors import UsageError
from uuidfs.layout.connections import from_uri, system
from uuidfs.layout.places import Layout

DOMAINS = typer.Argument(
    None,
    metavar="[DOMAIN]...",
    help="The domains, by their names or UUIDs.",
    show_default=False,
    autocompletion=domain_names,
)

DOMAIN = typer.Argument(
    ..., metavar="DOMAIN", help="The domain, by its name or UUID.", autocompletion=domain_names
)

PAST_DOMAIN = typer.Argument(
    ...,
    metavar="DOMAIN",
    help="The domain, by its name or UUID; also one that is gone, or by a former name.",
    autocompletion=domain_names,
)

ALL = typer.Option(False, "--all", help="Take all domains.")

DRY_RUN = typer.Option(False, "--dry-run", help="Print what would be done; change nothing.")

JSON = typer.Option(False, "--json", help="Print JSON for programs, errors too.")

ROOT = typer.Option(
    None,
    "--root",
    metavar="DIR",
    help="Work on the files below DIR, such as a mounted image.",
    show_default=False,
)

CONNECT = typer.Option(
    None,
    "--connect",
    "-c",
    metavar="URI",
    show_default=False,
    help="Work on the files of this connection: qemu:///system, which is the default, "
    "qemu:///session or qemu:///embed?root=DIR.",
)

LOCK_TIMEOUT = typer.Option(
    None,
    "--lock-timeout",
    metavar="TIME",
    show_default=False,
    help="How long to wait for a busy domain before it is skipped, such as 30s or 2min; "
    "by default 10s, or what the configuration says.",
)


def seconds(option: str, text: str) -> float:
    """A length of time as the configuration has it, or a number of seconds. Raises UsageError."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?|\.[0-9]+", text):
        return float(text)
    try:
        return durations.parse(text)
    except ValueError as error:
        raise UsageError(f"{option}: {error}") from None


def moment(text: str) -> float:
    """Seconds since the epoch, of a time in ISO 8601 or of @SECONDS as date(1) reads it.

    A time without an offset is the host's. Raises UsageError.
    """
    from datetime import datetime  # one command's

    with contextlib.suppress(ValueError, OverflowError):
        if text.startswith("@"):
            seconds = float(text[1:])
            if math.isfinite(seconds):
                return seconds
        else:
            return datetime.fromisoformat(text).timestamp()
    raise UsageError(
        f"--started-before {text!r}: write a time such as 2026-11-26T14:30, or @SECONDS"
    )


def patience(layout: Layout, lock_timeout: str | None) -> float:
    """How long to wait for a lock, in seconds: as asked for, else as configured.

    Raises UsageError or ConfigError.
    """
    if lock_timeout is not None:
        return seconds("--lock-timeout", lock_timeout)
    return configured(layout).lock_timeout


def layout_of(ctx: typer.Context, root: str | None, connect: str | None) -> Layout:
    """The layout that --root and --connect ask for, before or behind the command's name.

    Raises UsageError.
    """
    parent_root, parent_connect = ctx.find_root().obj or (None, None)
    root = root if root is not None else parent_root
    connect = connect if connect is not None else parent_connect
    if root is not None and connect is not None:
        raise UsageError("--root and --connect exclude each other")
    if root is not None:
        return rooted(root)
    if connect is None:
        return system()
    return from_uri(connect, dict(os.environ))
