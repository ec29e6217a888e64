"""What the shell completes beside commands and options. Names of domains are one directory
listing: no document is read.

What a shell completes becomes part of a command line, and zsh's script even evaluates it: only
names that mean the same to every shell, quoted or not, are offered. All others can be typed.
"""

import os
import re

import typer

from uuidfs.errors import UuidfsError
from uuidfs.layout.connections import from_uri, system
from uuidfs.layout.places import Kind, Layout

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")

_SUFFIX = ".xml"


def domain_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The names that begin as ``incomplete`` does; none where nothing can be read."""
    try:
        found = os.listdir(_directory(ctx))
    except (OSError, UuidfsError):
        return []
    names = (entry.removesuffix(_SUFFIX) for entry in found if entry.endswith(_SUFFIX))
    return sorted(n for n in names if n.startswith(incomplete) and _PLAIN.fullmatch(n))


def gone_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """The last names of domains that can come back; none where nothing can be read."""
    from uuidfs.undelete.candidates import find  # reads documents: there are few

    try:
        found = find(_layout(ctx)).candidates
    except (OSError, UuidfsError):
        return []
    names = {one.name for one in found}
    return sorted(n for n in names if n.startswith(incomplete) and _PLAIN.fullmatch(n))


def trash_ids(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of files in the trash, newest first, each with what it is of where a shell shows that."""
    from uuidfs.trash.entries import entries

    try:
        found = entries(_layout(ctx))
    except (OSError, UuidfsError):
        return []
    return [
        (entry.id, f"{entry.kind.value} of {entry.uuid}, {entry.when:%Y-%m-%d %H:%M} UTC")
        for entry in reversed(found)
        if entry.id.startswith(incomplete)
    ]


def phases(incomplete: str) -> list[str]:
    """Phases of a session, in their order."""
    from uuidfs.runtime.sessions import PHASES

    return [phase for phase in PHASES if phase.startswith(incomplete)]


def session_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of domains that are in a session."""
    from uuidfs.runtime.sessions import all_sessions

    try:
        names = {session.name for session in all_sessions(_layout(ctx))}
    except (OSError, UuidfsError):
        return []
    return sorted(n for n in names if n.startswith(incomplete) and _PLAIN.fullmatch(n))


def kinds(incomplete: str) -> list[str]:
    """What can be written after --kind of convert and revert."""
    return [
        kind for kind in (*(each.value for each in Kind), "nvram") if kind.startswith(incomplete)
    ]


def states(incomplete: str) -> list[str]:
    """States that a domain can be in."""
    from uuidfs.status import DOMAIN_STATES

    return [state for state in DOMAIN_STATES if state.startswith(incomplete)]


def _directory(ctx: typer.Context) -> str:
    """The config directory of --root and --connect, before or behind the command's name."""
    return _layout(ctx).names[Kind.CONFIG].path


def _layout(ctx: typer.Context) -> Layout:
    root, connect = (
        ctx.params.get(option) or ctx.find_root().params.get(option)
        for option in ("root", "connect")
    )
    return from_uri(connect, dict(os.environ)) if connect else system(root)
