"""``uuidfs reconcile``: the daemon in the foreground, or one full pass."""

import os
import sys
from typing import TYPE_CHECKING

import typer

from uuidfs import operate
from uuidfs.errors import UsageError, UuidfsError
from uuidfs.layout import Layout
from uuidfs.options import CONNECT, JSON, ROOT, layout_of
from uuidfs.outcome import cpus, run

if TYPE_CHECKING:
    from uuidfs.metrics import Figures
    from uuidfs.reconcile import Settings
    from uuidfs.standing import Standing

ONCE = typer.Option(False, "--once", help="Make one full pass and end; for timers and scripts.")


def reconcile_command(
    ctx: typer.Context,
    once: bool = ONCE,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Keep the names right while libvirt rewrites, renames and deletes them."""
    from uuidfs import config, reconcile  # other commands do without watchdog

    layout = layout_of(ctx, root, connect)
    if once:
        options = operate.Options(
            lock_timeout=0.0, cpus=cpus(), kinds=config.load(layout).kinds, by="reconciler"
        )
        raise typer.Exit(run(reconcile.once, layout, options, as_json=as_json))
    if as_json:
        raise UsageError("--json goes with --once: the daemon writes log lines")
    daemon(layout)


def daemon(layout: Layout) -> None:
    """Run until SIGTERM, telling systemd and the log; raises UuidfsError at the start only."""
    from uuidfs import config, eventlog, metrics, notify, reconcile, standing

    told = False
    written: Standing | None = None

    def beat(now: "Standing") -> None:
        nonlocal told, written
        if now != written:  # an idle host's disk and CPU are left alone
            written = now
            try:
                standing.write(layout, now)
            except UuidfsError as error:
                eventlog.warning(str(error), action="standing")
        fields = {"WATCHDOG": "1", "STATUS": _status(now)}
        if now.passed and not told:
            told = True
            fields["READY"] = "1"
        notify.notify(**fields)

    def info(message: str, fields: object) -> None:
        eventlog.info(message, **dict(fields))  # type: ignore[call-overload] # a Mapping

    def warning(message: str, fields: object) -> None:
        eventlog.warning(message, **dict(fields))  # type: ignore[call-overload] # a Mapping

    def settings() -> "Settings":
        found = config.load(layout)
        return reconcile.Settings(
            debounce=found.debounce,
            resync=found.resync,
            kinds=found.kinds,
            trash_retention=found.trash_retention,
            log_retention=found.log_retention,
        )

    def figures(found: "Figures") -> None:
        if textfile:
            metrics.write(textfile, found)

    def reload() -> "Settings":
        nonlocal told
        notify.reloading()
        told = False  # READY=1 has to follow, with the next beat
        return settings()

    textfile = config.load(layout).textfile
    voice = reconcile.Voice(
        info, warning, beat, figures if textfile else None, _recover if layout.live else None
    )
    reconcile.Reconciler(layout, settings(), voice, reload).run()
    notify.stopping()


def _recover() -> None:
    """Start ``uuidfs local-migrate --recover``, and do not wait for it.

    Under systemd as a unit of its own: it may have to start the peer daemon again, and this
    service has neither the capabilities nor the right to mount anything.
    """
    import subprocess

    command = [sys.executable, "-m", "uuidfs", "local-migrate", "--recover"]
    if os.path.isdir("/run/systemd/system"):
        command = ["systemctl", "start", "--no-block", "uuidfs-recover.service"]
    try:
        subprocess.Popen(  # noqa: S603 - fixed words
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        from uuidfs import eventlog

        eventlog.warning(f"cannot recover: {error}", action="recover")


def _status(now: "Standing") -> str:
    text = f"{now.domains} domains, {now.pending} pending, last pass took {now.took:.2f} s"
    return f"polling, {now.polling}; {text}" if now.polling else text
