"""``uuidfs status``, ``uuidfs check`` and ``uuidfs path``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from uuidfs.check import check, repair
from uuidfs.cli.completion import states
from uuidfs.cli.options import (
    CONNECT,
    DOMAIN,
    DOMAINS,
    JSON,
    LOCK_TIMEOUT,
    ROOT,
    layout_of,
    patience,
)
from uuidfs.cli.output import say
from uuidfs.cli.render.runs import run_errors
from uuidfs.cli.render.status import (
    NONE,
    check_json,
    check_lines,
    former_errors,
    former_lines,
    status_json,
    status_lines,
)
from uuidfs.cli.terminal import look
from uuidfs.convert.results import Options
from uuidfs.errors import EXIT_FAILED, UsageError, show
from uuidfs.layout.places import Kind
from uuidfs.status import DOMAIN_STATES, FileState, in_state, status_of, with_problems
from uuidfs.uuid_path import uuid_path

if TYPE_CHECKING:
    from uuidfs.history.former import Former

KIND = typer.Option(Kind.CONFIG.value, "--kind", help="Which of the domain's files.")

STATE = typer.Option(
    None,
    "--state",
    metavar="STATE",
    show_default=False,
    help="Only domains that are plain, converted, partial or conflict; may be given repeatedly.",
    autocompletion=states,
)

PROBLEMS = typer.Option(False, "--problems", help="Only what needs a look, with each file of it.")

WIDE = typer.Option(False, "--wide", help="Whole UUIDs and paths, however long the lines get.")

FORMER = typer.Option(
    False, "--former", help="Also the names that domains had before: this reads all their logs."
)

REPAIR = typer.Option(False, "--repair", help="Do what can be done about the findings.")


def status_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    wanted: list[str] = STATE,
    problems: bool = PROBLEMS,
    wide: bool = WIDE,
    former_wanted: bool = FORMER,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show domains, UUIDs and the state of each kind of file."""
    chosen = _states(wanted or ())
    layout = layout_of(ctx, root, connect)
    result = status_of(layout, tuple(domains) if domains else None)
    empty = NONE
    if chosen:
        result = in_state(result, chosen)
        empty = f"no domain is {' or '.join(wanted)}"
    if problems:
        result = with_problems(result)
        empty = "no problems found"
    former: Former | None = None
    if former_wanted:
        from uuidfs.history.former import former_of

        former = former_of(layout, [d.uuid for d in (*result.domains, *result.undefined)])
    if as_json:
        say([status_json(result, former)])
        return
    lines = status_lines(result, look(wide=wide), details=problems, empty=empty)
    if former is None:
        say(lines)
    else:
        say([*lines, *former_lines(result, former)], former_errors(former))


def _states(wanted: Iterable[str]) -> set[FileState]:
    for state in wanted:
        if state not in DOMAIN_STATES:
            known = ", ".join(DOMAIN_STATES)
            raise UsageError(f"--state {show(state)}: there is no such state; known are {known}")
    return {FileState(state) for state in wanted}


def check_command(
    ctx: typer.Context,
    repair_wanted: bool = REPAIR,
    as_json: bool = JSON,
    lock_timeout: float = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Check every promise that can be checked on disk."""
    layout = layout_of(ctx, root, connect)
    errors: list[str] = []
    if repair_wanted:
        result, done = repair(
            layout, Options(lock_timeout=patience(layout, lock_timeout), by="check")
        )
        errors = run_errors(done)
    else:
        result = check(layout)
    if as_json:
        say([check_json(result)])
    else:
        say(check_lines(result, look()), errors)
    raise typer.Exit(result.exit_code)


def path_command(
    ctx: typer.Context,
    domain: str = DOMAIN,
    kind: Kind = KIND,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Print the UUID path of a domain's files, for scripts; exit code 1 when nothing is there."""
    found = uuid_path(layout_of(ctx, root, connect), domain, kind)
    if not found.missing:
        say([found.path])
        return
    say([found.path], [f"uuidfs: {show(found.path)} does not exist: {found.missing}"])
    raise typer.Exit(EXIT_FAILED)
