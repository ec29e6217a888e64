"""The command line: parse, call, render, exit code. All work is done elsewhere."""

import sys
from collections.abc import Callable
from typing import NoReturn

import typer

from uuidfs import __version__, hookfile, migratecli, operate, reload, render, report, standing
from uuidfs import check as checker
from uuidfs.errors import EXIT_FAILED, EXIT_OK, EXIT_USAGE, UsageError, show
from uuidfs.layout import Kind, Layout
from uuidfs.options import (
    ALL,
    CONNECT,
    DOMAIN,
    DOMAINS,
    DRY_RUN,
    JSON,
    LOCK_TIMEOUT,
    ROOT,
    layout_of,
    patience,
)
from uuidfs.outcome import EXIT_INTERRUPTED, configured, cpus, fail, guarded, run, say
from uuidfs.progress import Progress
from uuidfs.reconcilecli import reconcile_command
from uuidfs.storecli import config_app, trash_app
from uuidfs.systemdcli import systemd_app

# Newer typers carry their own copy of click: its base class is found through what they export.
ClickException = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

app = typer.Typer(
    name="uuidfs",
    help="UUID-named files for libvirt domains, behind name symlinks, on stock libvirt.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
hook_app = typer.Typer(
    help="Install, remove or inspect the libvirt qemu hook.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(hook_app, name="hook")
app.add_typer(trash_app, name="trash")
app.add_typer(config_app, name="config")
app.add_typer(systemd_app, name="systemd")
app.command("reconcile")(reconcile_command)
migratecli.register(app)

KIND = typer.Option(Kind.CONFIG.value, "--kind", help="Which of the domain's files.")
RELOAD = typer.Option(
    False, "--reload", help="Make the running daemon notice the first hook (SIGHUP)."
)
REPAIR = typer.Option(False, "--repair", help="Do what can be done about the findings.")


def _version(wanted: bool) -> None:
    if wanted:
        say([f"uuidfs {__version__}"])
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    root: str = ROOT,
    connect: str = CONNECT,
    _: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """UUID-named files for libvirt domains, behind name symlinks, on stock libvirt."""
    ctx.obj = (root, connect)


@app.command()
def convert(
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
        operate.convert,
        "Converting",
        layout,
        as_json,
        _options(domains, all_domains, dry_run, patience(layout, lock_timeout))._replace(
            kinds=configured(layout).kinds
        ),
    )


@app.command()
def revert(
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
    if not dry_run and (running := standing.read(layout)) is not None:
        raise standing.RunsError(running.pid)
    _run(
        operate.revert,
        "Reverting",
        layout,
        as_json,
        _options(domains, all_domains, dry_run, patience(layout, lock_timeout)),
    )


def _options(
    domains: list[str] | None, all_domains: bool, dry_run: bool, lock_timeout: float
) -> operate.Options:
    if bool(domains) == all_domains:
        raise UsageError("give either the names or UUIDs of domains, or --all")
    chosen = None if all_domains else tuple(domains or ())
    return operate.Options(chosen, dry_run=dry_run, lock_timeout=lock_timeout, cpus=cpus())


def _run(
    action: Callable[[Layout, operate.Options], operate.RunResult],
    label: str,
    layout: Layout,
    as_json: bool,
    chosen: operate.Options,
) -> NoReturn:
    chosen = operate.with_progress(chosen, Progress(label))
    raise typer.Exit(run(action, layout, chosen, as_json=as_json))


@app.command()
def status(
    ctx: typer.Context,
    domains: list[str] = DOMAINS,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Show domains, UUIDs and the state of each kind of file."""
    result = report.status(layout_of(ctx, root, connect), tuple(domains) if domains else None)
    if as_json:
        say([render.status_json(result)])
    else:
        say(render.status_lines(result))


@app.command()
def check(
    ctx: typer.Context,
    repair: bool = REPAIR,
    as_json: bool = JSON,
    lock_timeout: float = LOCK_TIMEOUT,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Check every promise that can be checked on disk."""
    layout = layout_of(ctx, root, connect)
    errors: list[str] = []
    if repair:
        result, run = checker.repair(
            layout, operate.Options(lock_timeout=patience(layout, lock_timeout), by="check")
        )
        errors = render.run_errors(run)
    else:
        result = checker.check(layout)
    if as_json:
        say([render.check_json(result)])
    else:
        say(render.check_lines(result), errors)
    raise typer.Exit(result.exit_code)


@app.command()
def path(
    ctx: typer.Context,
    domain: str = DOMAIN,
    kind: Kind = KIND,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Print the UUID path of a domain's files, for scripts."""
    layout = layout_of(ctx, root, connect)
    say([report.uuid_path(layout, domain, kind)])


@hook_app.command("install")
def hook_install(
    ctx: typer.Context, tell: bool = RELOAD, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Install the hook, beside a foreign one where there is one."""
    layout = layout_of(ctx, root, connect)
    if tell:
        reload.refuse_elsewhere(layout)
        if not hookfile.status(layout).installed:
            reload.owe(layout)
    result = hookfile.install(layout)
    say([f"installed {result.path}"] if result.changed else [])
    if tell:
        say(f"reloaded {daemon}" for daemon in reload.settle(layout).daemons)
    elif result.reload:
        say([], [hookfile.RELOAD])


@hook_app.command("remove")
def hook_remove(ctx: typer.Context, root: str = ROOT, connect: str = CONNECT) -> None:
    """Remove the hook; a foreign one is never touched."""
    result = hookfile.remove(layout_of(ctx, root, connect))
    say([f"removed {result.path}"] if result.changed else [])


@hook_app.command("status")
def hook_status(
    ctx: typer.Context, as_json: bool = JSON, root: str = ROOT, connect: str = CONNECT
) -> None:
    """Tell whether and where the hook is installed; exit code 1 when it is not."""
    result = hookfile.status(layout_of(ctx, root, connect))
    if as_json:
        say(
            [
                render.as_json(
                    installed=result.installed,
                    path=result.path,
                    foreign=list(result.foreign),
                    interpreter=result.interpreter,
                )
            ]
        )
    else:
        lines = [
            f"installed as {result.path}, runs {result.interpreter}"
            if result.installed
            else "not installed; run: uuidfs hook install"
        ]
        lines += [f"somebody else's hook: {show(path)}" for path in result.foreign]
        say(lines)
    raise typer.Exit(EXIT_OK if result.installed else EXIT_FAILED)


def main() -> NoReturn:
    """Parse the command line, run it and exit with a documented code."""
    guarded(_parse)


def _parse() -> object:
    try:
        return typer.main.get_command(app).main(prog_name="uuidfs", standalone_mode=False)
    except typer.Abort:
        fail("interrupted", EXIT_INTERRUPTED)
    except Exception as error:
        if not isinstance(error, ClickException):
            raise
        message: str = error.format_message()  # type: ignore[attr-defined] # found by its name
        if type(error).__name__ == "NoArgsIsHelpError":
            say([], [message])
            sys.exit(EXIT_USAGE)
        fail(message, EXIT_USAGE)
