"""``uuidfs convert`` and ``uuidfs revert``."""

from typing import TYPE_CHECKING, NoReturn

import typer

from uuidfs.cli.completion import kinds as complete_kinds
from uuidfs.cli.firmware import KIND as FIRMWARE
from uuidfs.cli.firmware import firmware_run
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
from uuidfs.convert.results import Options, with_progress
from uuidfs.convert.run import convert, revert
from uuidfs.errors import UsageError
from uuidfs.keepsakes.tend import keeper
from uuidfs.layout.places import Kind, Layout
from uuidfs.runtime import reconciler_state

if TYPE_CHECKING:
    from uuidfs.firmware.results import FirmwareRun

VERBOSE = typer.Option(
    False, "--verbose", "-v", help="Print a line for each domain, however many they are."
)

KINDS = typer.Option(
    None,
    "--kind",
    metavar="KIND",
    show_default=False,
    autocompletion=complete_kinds,
    help="Take only these files: config, log, snapshot, checkpoint or nvram. "
    "It may be given several times.",
)


def convert_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    all_domains: bool = ALL,
    dry_run: bool = DRY_RUN,
    verbose: bool = VERBOSE,
    as_json: bool = JSON,
    kinds: list[str] = KINDS,
    lock_timeout: str = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Move files to UUID names, and leave links at their own names.

    Examples:
        uuidfs convert --all --dry-run
        uuidfs convert --all
        uuidfs convert web db --kind config --kind log
    """
    layout = layout_of(ctx, root, connect)
    configuration = configured(layout)
    options = _options(domains, all_domains, dry_run, patience(layout, lock_timeout))
    files, firmware = _chosen_kinds(kinds)
    mode = "all" if kinds and firmware else configuration.firmware
    _run(
        "convert",
        layout,
        as_json,
        options._replace(
            kinds=configuration.kinds if files is None else files,
            keeper=keeper(secrets=configuration.keep_secrets),
        ),
        mode if firmware else "",
        required=bool(kinds),
        verbose=verbose,
    )


def revert_command(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    all_domains: bool = ALL,
    dry_run: bool = DRY_RUN,
    verbose: bool = VERBOSE,
    as_json: bool = JSON,
    kinds: list[str] = KINDS,
    lock_timeout: str = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Give libvirt's own file names back, exactly as they were.

    It is refused while the reconciler runs, which would convert again.

    Examples:
        uuidfs revert web
        systemctl stop uuidfs && uuidfs revert --all
    """
    layout = layout_of(ctx, root, connect)
    if not dry_run and (running := reconciler_state.read(layout)) is not None:
        raise reconciler_state.RunsError(running.pid)
    options = _options(domains, all_domains, dry_run, patience(layout, lock_timeout))
    options = options._replace(keeper=keeper(secrets=True, by="revert"))
    files, firmware = _chosen_kinds(kinds)
    if files is not None:
        options = options._replace(kinds=files)
    _run(
        "revert",
        layout,
        as_json,
        options,
        "all" if firmware else "",
        required=bool(kinds),
        verbose=verbose,
    )


def _chosen_kinds(kinds: list[str] | None) -> tuple[frozenset[Kind] | None, bool]:
    """The kinds of files, None for those that are usual, and whether firmware is meant, too."""
    if not kinds:
        return None, True
    known = [kind.value for kind in Kind]
    for kind in kinds:
        if kind not in {*known, FIRMWARE}:
            raise UsageError(
                f"--kind {kind}: there is no such kind; known are {', '.join([*known, FIRMWARE])}"
            )
    files = frozenset(kind for kind in Kind if kind.value in kinds)
    return files, FIRMWARE in kinds


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
    action: str,
    layout: Layout,
    as_json: bool,
    chosen: Options,
    mode: str,
    *,
    required: bool,
    verbose: bool,
) -> NoReturn:
    def firmware() -> "FirmwareRun | None":
        return firmware_run(
            action,
            layout,
            domains=chosen.domains,
            mode=mode,
            dry_run=chosen.dry_run,
            lock_timeout=chosen.lock_timeout,
            required=required,
        )

    with Progress("Converting" if action == "convert" else "Reverting") as progress:
        code = carry_out(
            convert if action == "convert" else revert,
            layout,
            with_progress(chosen, progress),
            as_json=as_json,
            verbose=verbose,
            firmware=firmware if mode else None,
        )
    raise typer.Exit(code)
