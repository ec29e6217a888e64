"""``uuidfs reconcile``: the daemon in the foreground, or one full pass."""

import time
from typing import TYPE_CHECKING

import typer

from uuidfs.cli.options import CONNECT, JSON, ROOT, layout_of
from uuidfs.cli.output import carry_out, cpus
from uuidfs.convert.results import Options
from uuidfs.errors import UsageError, UuidfsError
from uuidfs.layout.places import Layout

if TYPE_CHECKING:
    from collections.abc import Callable

    from uuidfs.convert.results import RunResult

ONCE = typer.Option(False, "--once", help="Make one full pass and end; for timers and scripts.")


def reconcile_command(
    ctx: typer.Context,
    once: bool = ONCE,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Keep the links right while libvirt works; for the service.

    It stays in the foreground, and writes log lines.

    Examples:
        systemctl start uuidfs
        uuidfs reconcile --once
    """
    # Other commands do without watchdog.
    from uuidfs import settings
    from uuidfs.keepsakes.tend import keeper
    from uuidfs.reconcile.full_pass import BY
    from uuidfs.reconcile.service import Service

    layout = layout_of(ctx, root, connect)
    if once:
        found = settings.load(layout)
        options = Options(
            lock_timeout=0.0,
            cpus=cpus(),
            kinds=found.kinds,
            by=BY,
            keeper=keeper(secrets=found.keep_secrets, by=BY),
        )
        code = carry_out(_counted(found.textfile), layout, options, as_json=as_json)
        raise typer.Exit(code)
    if as_json:
        raise UsageError("--json goes with --once: the daemon writes log lines")
    Service(layout).run()


def _counted(textfile: str) -> "Callable[[Layout, Options], RunResult]":
    """A full pass, and where the configuration has a file for them, its metrics.

    What keeps those from being written is a problem of the run: the names are right all the same.
    """
    from uuidfs.reconcile.full_pass import once, write_figures
    from uuidfs.survey.scan import Problem

    def run(layout: Layout, options: Options) -> "RunResult":
        began = time.time()
        result = once(layout, options)
        if textfile:
            try:
                write_figures(layout, result, began, textfile)
            except UuidfsError as error:
                problem = Problem("", f"no metrics: {error}")
                result = result._replace(problems=(*result.problems, problem))
        return result

    return run
