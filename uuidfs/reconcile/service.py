"""The reconciler as a service: it tells systemd, the log, and those who ask for its state."""

import os
import sys
from typing import TYPE_CHECKING

from uuidfs.errors import UuidfsError
from uuidfs.layout.places import Layout

if TYPE_CHECKING:
    from uuidfs.reconcile.metrics import Figures
    from uuidfs.reconcile.reconciler import Settings
    from uuidfs.runtime.reconciler_state import ReconcilerState


def daemon(layout: Layout) -> None:
    """Run until SIGTERM, telling systemd and the log; raises UuidfsError at the start only."""
    from uuidfs import settings
    from uuidfs.reconcile import log, metrics, notify, reconciler
    from uuidfs.runtime import reconciler_state

    told = False
    written: ReconcilerState | None = None

    def heartbeat(now: "ReconcilerState") -> None:
        nonlocal told, written
        if now != written:  # an idle host's disk and CPU are left alone
            written = now
            try:
                reconciler_state.write(layout, now)
            except UuidfsError as error:
                log.warning(str(error), action="standing")
        fields = {"WATCHDOG": "1", "STATUS": _status(now)}
        if now.passed and not told:
            told = True
            fields["READY"] = "1"
        notify.notify(**fields)

    def info(message: str, fields: object) -> None:
        log.info(message, **dict(fields))  # type: ignore[call-overload] # a Mapping

    def warning(message: str, fields: object) -> None:
        log.warning(message, **dict(fields))  # type: ignore[call-overload] # a Mapping

    def in_force() -> "Settings":
        found = settings.load(layout)
        return reconciler.Settings(
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
        return in_force()

    textfile = settings.load(layout).textfile
    listener = reconciler.Listener(
        info, warning, heartbeat, figures if textfile else None, _recover if layout.live else None
    )
    reconciler.Reconciler(layout, in_force(), listener, reload).run()
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
        from uuidfs.reconcile import log

        log.warning(f"cannot recover: {error}", action="recover")


def _status(now: "ReconcilerState") -> str:
    text = f"{now.domains} domains, {now.pending} pending, last pass took {now.took:.2f} s"
    return f"polling, {now.polling}; {text}" if now.polling else text
