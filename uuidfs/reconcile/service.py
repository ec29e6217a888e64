"""The reconciler as a service: it tells systemd, the log, and those who ask for its state."""

import os
import subprocess
import sys
from collections.abc import Mapping

from uuidfs import settings
from uuidfs.errors import EXIT_FOUND, UuidfsError
from uuidfs.keepsakes.tend import keeper
from uuidfs.layout.places import Layout
from uuidfs.reconcile import log, metrics, notify
from uuidfs.reconcile.full_pass import BY
from uuidfs.reconcile.interface import Listener, ReconcilerOptions
from uuidfs.reconcile.reconciler import Reconciler
from uuidfs.runtime import reconciler_state
from uuidfs.runtime.reconciler_state import ReconcilerState


class Service:
    """One layout's reconciler in the foreground, configured by uuidfs.toml."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._told_ready = False
        self._written: ReconcilerState | None = None

    def run(self) -> None:
        """Run until SIGTERM. Raises UuidfsError at the start only."""
        textfile = settings.load(self._layout).textfile
        listener = Listener(
            _info,
            _warning,
            self._heartbeat,
            (lambda figures: metrics.write(textfile, figures)) if textfile else None,
            _recover if self._layout.live else None,
            _look_for_outdated
            if self._layout.uri == "qemu:///system" and self._layout.live
            else None,
        )
        Reconciler(self._layout, self._options(), listener, self._reload).run()
        notify.stopping()

    def _options(self) -> ReconcilerOptions:
        found = settings.load(self._layout)
        return ReconcilerOptions(
            debounce=found.debounce,
            resync=found.resync,
            kinds=found.kinds,
            trash_retention=found.trash_retention,
            log_retention=found.log_retention,
            keeper=keeper(secrets=found.keep_secrets, saves=True, by=BY),
            firmware=found.firmware,
        )

    def _reload(self) -> ReconcilerOptions:
        notify.reloading()
        self._told_ready = False  # READY=1 has to follow, with the next heartbeat
        return self._options()

    def _heartbeat(self, now: ReconcilerState) -> None:
        if now != self._written:  # an idle host's disk and CPU are left alone
            self._written = now
            try:
                reconciler_state.write(self._layout, now)
            except UuidfsError as error:
                log.warning(str(error), action="standing")
        fields = {"WATCHDOG": "1", "STATUS": _status(now)}
        if now.passed and not self._told_ready:
            self._told_ready = True
            fields["READY"] = "1"
        notify.notify(**fields)


def _info(message: str, fields: Mapping[str, object]) -> None:
    log.info(message, **fields)


def _warning(message: str, fields: Mapping[str, object]) -> None:
    log.warning(message, **fields)


def _recover() -> None:
    """Start ``uuidfs local-migrate --recover``, and do not wait for it.

    Under systemd as a unit of its own: it may have to start the peer daemon again, and this
    service has neither the capabilities nor the right to mount anything.
    """
    command = [sys.executable, "-m", "uuidfs", "local-migrate", "--recover"]
    if os.path.isdir("/run/systemd/system"):
        command = ["systemctl", "start", "--no-block", "uuidfs-recover.service"]
    _start(command, "recover")


def _look_for_outdated() -> None:
    """Start ``uuidfs outdated --record``, and do not wait for it.

    Under systemd as a unit of its own, since this service may not look into QEMU's processes
    (ptrace(2), "Ptrace access mode checking"). Where one still runs, systemd starts no second.
    """
    command = [sys.executable, "-m", "uuidfs", "outdated", "--record"]
    if os.path.isdir("/run/systemd/system"):
        found = f"--property=SuccessExitStatus={EXIT_FOUND}"
        way = ["systemd-run", "--quiet", "--collect", "--no-block", "--unit=uuidfs-outdated"]
        command = [*way, "--nice=10", found, *command]
    _start(command, "outdated")


def _start(command: list[str], action: str) -> None:
    try:
        subprocess.Popen(  # noqa: S603 - fixed words
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
    except OSError as error:
        log.warning(f"cannot start {command[0]}: {error}", action=action)


def _status(now: ReconcilerState) -> str:
    text = f"{now.domains} domains, {now.pending} pending, last pass took {now.took:.2f} s"
    return f"polling, {now.polling}; {text}" if now.polling else text
