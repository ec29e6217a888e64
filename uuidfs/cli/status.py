"""``uuidfs status``, ``uuidfs check`` and ``uuidfs path``."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

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
from uuidfs.errors import EXIT_FAILED, UsageError, show
from uuidfs.layout.places import Kind

if TYPE_CHECKING:
    from uuidfs.history.former import Former
    from uuidfs.status import FileState

KIND = typer.Option(
    Kind.CONFIG.value,
    "--kind",
    metavar="KIND",
    help="Which of the domain's files: config, log, snapshot or checkpoint.",
)

STATE = typer.Option(
    None,
    "--state",
    metavar="STATE",
    show_default=False,
    help="Show only domains that are plain, converted, partial or conflict. "
    "It may be given several times.",
    autocompletion=states,
)

PROBLEMS = typer.Option(
    False, "--problems", help="Show only what needs a look, with each file of it."
)

WIDE = typer.Option(False, "--wide", help="Show whole UUIDs and paths, however long the lines get.")

FORMER = typer.Option(
    False,
    "--former",
    help="Show the names that domains had before, too; this reads all their logs.",
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
    """Show each domain with its UUID and the state of its files.

    Examples:
        uuidfs status
        uuidfs status --problems
        uuidfs status web --wide
    """
    from uuidfs.cli.render.status import (
        NONE,
        former_errors,
        former_lines,
        status_json,
        status_lines,
    )
    from uuidfs.cli.terminal import look
    from uuidfs.status import in_state, status_of, with_problems
    from uuidfs.survey.identity_lxml import quick_reader

    chosen = _states(wanted or ())
    layout = layout_of(ctx, root, connect)
    result = status_of(layout, tuple(domains) if domains else None, quick_reader())
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


def _states(wanted: Iterable[str]) -> "set[FileState]":
    from uuidfs.status import DOMAIN_STATES, FileState

    for state in wanted:
        if state not in DOMAIN_STATES:
            known = ", ".join(DOMAIN_STATES)
            raise UsageError(f"--state {show(state)}: there is no such state; known are {known}")
    return {FileState(state) for state in wanted}


def check_command(
    ctx: typer.Context,
    repair_wanted: bool = REPAIR,
    as_json: bool = JSON,
    lock_timeout: str = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Check every promise that can be checked on disk.

    Exit status 3 says that something was found.

    Examples:
        uuidfs check
        uuidfs check --repair
    """
    from uuidfs.check import check, repair
    from uuidfs.cli.render.status import check_json, check_lines
    from uuidfs.cli.terminal import look

    layout = layout_of(ctx, root, connect)
    errors: list[str] = []
    if repair_wanted:
        from uuidfs.cli.render.runs import run_errors
        from uuidfs.convert.results import Options

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
    """Print where a domain's files are by its UUID, for scripts.

    Exit status 1 says that nothing is there.

    Examples:
        uuidfs path web
        tail -f "$(uuidfs path web --kind log)"
    """
    from uuidfs.survey.identity_lxml import quick_reader
    from uuidfs.uuid_path import uuid_path

    found = uuid_path(layout_of(ctx, root, connect), domain, kind, quick_reader())
    if not found.missing:
        say([found.path])
        return
    say([found.path], [f"uuidfs: {show(found.path)} does not exist: {found.missing}"])
    raise typer.Exit(EXIT_FAILED)
