"""Names of domains for the shell's completion: one directory listing, no document is read.

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
