"""``uuidfs convert`` and ``uuidfs revert``."""

from collections.abc import Callable
from typing import NoReturn

import typer

from uuidfs.cli.options import (
    ALL,
    CONNECT,
    DOMAINS,
    DRY_RUN,
    JSON,
    LOCK_TIMEOUT,
    ROOT,
    layout_of,
    patience,
)
from uuidfs.cli.output import carry_out, configured, cpus, known_checkpoints, starts_once
from uuidfs.cli.progress import Progress
from uuidfs.convert.results import Options, RunResult, with_progress
from uuidfs.convert.run import convert, revert
from uuidfs.errors import UsageError
from uuidfs.layout.places import Layout
from uuidfs.runtime import reconciler_state


def convert_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    all_domains: bool = ALL,
    dry_run: bool = DRY_RUN,
    as_json: bool = JSON,
    lock_timeout: float = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Move files to UUID names, with symlinks under the domains' names."""
    layout = layout_of(ctx, root, connect)
    _run(
        convert,
        "Converting",
        layout,
        as_json,
        _options(domains, all_domains, dry_run, patience(layout, lock_timeout))._replace(
            kinds=configured(layout).kinds
        ),
    )


def revert_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    all_domains: bool = ALL,
    dry_run: bool = DRY_RUN,
    as_json: bool = JSON,
    lock_timeout: float = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Give libvirt's own file names back, exactly as they were."""
    layout = layout_of(ctx, root, connect)
    if not dry_run and (running := reconciler_state.read(layout)) is not None:
        raise reconciler_state.RunsError(running.pid)
    _run(
        revert,
        "Reverting",
        layout,
        as_json,
        _options(domains, all_domains, dry_run, patience(layout, lock_timeout)),
    )


def _options(
    domains: list[str] | None, all_domains: bool, dry_run: bool, lock_timeout: float
) -> Options:
    if bool(domains) == all_domains:
        raise UsageError("give either the names or UUIDs of domains, or --all")
    chosen = None if all_domains else tuple(domains or ())
    return Options(
        chosen,
        dry_run=dry_run,
        lock_timeout=lock_timeout,
        cpus=cpus(),
        checkpoints=known_checkpoints,
        starts_once=starts_once,
    )


def _run(
    action: Callable[[Layout, Options], RunResult],
    label: str,
    layout: Layout,
    as_json: bool,
    chosen: Options,
) -> NoReturn:
    chosen = with_progress(chosen, Progress(label))
    raise typer.Exit(carry_out(action, layout, chosen, as_json=as_json))
