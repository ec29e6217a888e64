"""Options that several commands have, and the layout that they choose."""

import os

import typer

from uuidfs.cli.completion import domain_names
from uuidfs.cli.output import configured, rooted
from uuidfs.errors import UsageError
from uuidfs.layout.connections import from_uri, system
from uuidfs.layout.places import Layout

DOMAINS = typer.Argument(
    None,
    metavar="[DOMAIN]...",
    help="Names or UUIDs.",
    show_default=False,
    autocompletion=domain_names,
)

DOMAIN = typer.Argument(
    ..., metavar="DOMAIN", help="A name or a UUID.", autocompletion=domain_names
)

PAST_DOMAIN = typer.Argument(
    ...,
    metavar="DOMAIN",
    help="A name or a UUID; also of a domain that is gone, or a former name.",
    autocompletion=domain_names,
)

ALL = typer.Option(False, "--all", help="All domains.")

DRY_RUN = typer.Option(False, "--dry-run", help="Print what would be done; change nothing.")

JSON = typer.Option(False, "--json", help="Print JSON, errors too.")

ROOT = typer.Option(
    None, "--root", metavar="DIR", help="Use the system layout below DIR.", show_default=False
)

CONNECT = typer.Option(
    None,
    "--connect",
    "-c",
    metavar="URI",
    show_default=False,
    help="qemu:///system (default), qemu:///session or qemu:///embed?root=DIR.",
)

LOCK_TIMEOUT = typer.Option(
    None,
    "--lock-timeout",
    metavar="SECONDS",
    min=0.0,
    show_default=False,
    help="How long to wait for a busy domain before it is skipped; 10, or the configuration's.",
)


def patience(layout: Layout, lock_timeout: float | None) -> float:
    """How long to wait for a lock, in seconds: as asked for, else as configured."""
    return lock_timeout if lock_timeout is not None else configured(layout).lock_timeout


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
