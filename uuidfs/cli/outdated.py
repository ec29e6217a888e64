"""``uuidfs outdated``, and what ``uuidfs local-migrate --outdated`` moves."""

import contextlib
import os
from typing import TYPE_CHECKING

import typer

from uuidfs.cli.options import CONNECT, DOMAINS, JSON, ROOT, layout_of
from uuidfs.cli.output import say
from uuidfs.cli.render.outdated import outdated_errors, outdated_json, outdated_lines
from uuidfs.cli.terminal import look as look_at_terminal
from uuidfs.errors import UsageError, UuidfsError
from uuidfs.layout.places import Layout
from uuidfs.outdated import look, record
from uuidfs.runtime.sessions import path_of
from uuidfs.survey.resolve import known_uuids, resolve

if TYPE_CHECKING:
    from uuidfs.localmigration.choice import Needed
    from uuidfs.localmigration.results import Guest

RECORD = typer.Option(False, "--record", help="Keep the result for the reconciler's metrics.")


def outdated_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    recorded: bool = RECORD,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show running guests whose QEMU was replaced on disk.

    Exit status 3 says that there are such guests.

    Examples:
        uuidfs outdated
        uuidfs outdated || uuidfs local-migrate --outdated
    """
    layout = layout_of(ctx, root, connect)
    if recorded and domains:
        raise UsageError("--record is for a look at all domains")
    found = look(layout, {resolve(layout, d)[0] for d in domains} if domains else None)
    if recorded:
        record.write(layout, found)
    if as_json:
        say([outdated_json(found)])
    else:
        known: list[str] = []
        if found.domains:
            with contextlib.suppress(UuidfsError):  # whole UUIDs are as true
                known = known_uuids(layout)
        say(outdated_lines(found, known, look_at_terminal()), outdated_errors(found.problems))
    raise typer.Exit(found.exit_code)


def outdated_choice(layout: Layout) -> "tuple[Needed, dict[str, str]]":
    """Whether a guest is outdated, and by UUID the emulator that a config names anew.

    The first answers are those of one look at all; later ones are of that moment. A guest in a
    session counts as outdated: its trip says who is at it.
    """
    found = look(layout)
    asked: set[str] = set()

    def needed(guest: "Guest") -> bool:
        if os.path.lexists(path_of(layout, guest.uuid)):
            return True
        looked = look(layout, {guest.uuid}) if guest.uuid in asked else found
        asked.add(guest.uuid)
        if any(one.uuid == guest.uuid for one in looked.domains):
            return True
        for problem in looked.problems:
            if problem.name == guest.name:
                why = f"whether it is outdated cannot be told: {problem.reason}"
                raise UuidfsError(why, problem.path)
        return False

    return needed, {one.uuid: one.emulator for one in found.domains if one.emulator}
