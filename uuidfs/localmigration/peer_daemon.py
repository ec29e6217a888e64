"""The private peer daemon: a second libvirt daemon on this host, with directories of its own.

It runs in a mount namespace in which DIR/etc, DIR/run ... lie over libvirt's directories
(peer_inside), so that neither daemon sees the other's files. Its host UUID is another one, since
libvirt compares them ("Attempt to migrate guest to the same host"). It survives whoever started
it, and can be started again over the same directories: then it enters the mount namespace of its
QEMU process and finds that again.

DIR is root's alone. Who lives is told by locks on files in it, never by the name of a process.
"""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable

from uuidfs.errors import UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.host.interpreter import command as python
from uuidfs.layout import names
from uuidfs.layout.places import Place
from uuidfs.localmigration import peer_files, peer_shares
from uuidfs.localmigration.hop_sockets import HOPS
from uuidfs.localmigration.host_daemon import HostDaemon
from uuidfs.localmigration.peer_inside import HOST
from uuidfs.localmigration.processes import Process, process_of

PATIENCE = 30.0  # seconds for the daemon to begin

END = 10.0  # seconds for it to end before it is killed, and after that

_SOON = 2.0  # seconds for one that has closed a connection to be gone

_LOG = 4096  # bytes of its log that an error quotes from


class PeerFailed(UuidfsError):
    """The peer daemon did not start."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the peer daemon did not start: {reason}")
        self.reason = reason


class PeerDaemon:
    """The daemon that belongs to a directory, whether it runs or not."""

    def __init__(self, directory: str, host: HostDaemon, peer_name: str) -> None:
        self.directory = directory
        self.name = peer_name
        self._host = host
        self.socket = f"{directory}/run/{host.socket}"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        # As the peer sees the host's: its own sockets lie over them.
        self.host_uri = f"qemu+unix:///system?socket={directory}/{HOST}/{host.socket}"
        self._pid_file = f"{directory}/peer.pid"

    def make(self, guest: peer_files.Guest) -> None:
        """Make the directories.

        What an earlier attempt left is removed first, but for what lives. Raises UuidfsError
        or OSError.
        """
        if os.path.isdir(self.directory) and (self.runs() or not self.is_empty()):
            raise UuidfsError(f"a daemon or QEMU process without a session is in {self.directory}")
        self.remove()
        peer_files.make(self.directory, self._host.name, guest)

    def process(self) -> Process | None:
        """Its process, None when it does not run."""
        return process_of(self._pid_file)

    def guest(self) -> Process | None:
        """The QEMU process in it, None when there is none."""
        return process_of(self.guest_file)

    @property
    def guest_file(self) -> str:
        """The pid file of the QEMU process in it."""
        return f"{self.directory}/run/qemu/{names.pid_file(self.name)}"

    def is_empty(self) -> bool:
        """Whether no QEMU process is in it."""
        guest = self.guest()
        if guest is not None:
            guest.close()
        return guest is None

    def runs(self) -> bool:
        """Whether it runs, or is just being started by somebody who may have died since."""
        lock = self._lock()
        if lock is not None:
            os.close(lock)
        return lock is None

    def has_ended(self) -> bool:
        """Whether it ends by itself, soon."""
        deadline = time.monotonic() + _SOON
        while self.runs():
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.005)
        return True

    def go_on(self) -> None:
        """SIGCONT to it and its QEMU process: nobody but us has any business with them."""
        for process in (self.process(), self.guest()):
            if process is not None:
                with process:
                    process.go_on()

    def start(self) -> None:
        """Start it, or find it running; returns when it listens. Raises PeerFailed."""
        lock = self._lock()
        if lock is not None:
            try:
                self._spawn(lock)
            finally:
                os.close(lock)
        deadline = time.monotonic() + PATIENCE
        while not self._listens():
            if not self.runs() or time.monotonic() >= deadline:
                raise PeerFailed(self.said())
            self.go_on()
            time.sleep(0.005)

    def _lock(self) -> int | None:
        """The lock that the daemon, and whatever leads to it, holds while it lives."""
        try:
            fd = os.open(
                f"{self.directory}/alive.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except FileNotFoundError:
            return os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)  # no directory, no daemon
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        return fd

    def _spawn(self, lock: int) -> None:
        run = opened(Place(f"{self.directory}/run"))
        if run is not None:
            with run:
                change.unlink(run, self._host.socket)
        fds = [lock]
        way = ["unshare", "--mount", "--propagation", "private"]
        guest = self.guest()
        if guest is not None:
            with guest:
                fds.append(guest.namespace())
            peer_shares.let_move(os.path.dirname(self.guest_file), self.name)
            way = ["nsenter", f"--mount=/proc/self/fd/{fds[1]}"]
        command = [
            "setsid",
            "--fork",
            *way,
            *python("uuidfs.localmigration.peer_inside"),
            "first" if guest is None else "again",
            self.directory,
            self._host.socket,
            HOPS,
            self._host.program,
            "--daemon",
            "--pid-file",
            self._pid_file,
            "--config",
            f"{self.directory}/etc/{self._host.name}.conf",
        ]
        if os.path.isdir("/run/systemd/system"):
            # Else it would end with the login session or the service that began the migration.
            command = [
                "systemd-run",
                "--quiet",
                "--collect",
                "--scope",
                "--slice=system.slice",
                *command,
            ]
        try:
            with open(f"{self.directory}/start.log", "wb") as log:
                subprocess.run(  # noqa: S603 - fixed words and our own directory
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    check=False,
                    timeout=PATIENCE,
                    pass_fds=fds,
                )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PeerFailed(str(error)) from error
        finally:
            for fd in fds[1:]:
                os.close(fd)

    def _listens(self) -> bool:
        process = self.process()
        if process is None:
            return False
        process.close()
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(self.socket)
            except OSError:
                return False
        return True

    def said(self) -> str:
        """What it said on stderr before it had a log, or last in its log."""
        for name in ("start.log", "log/peer.log"):
            with (
                contextlib.suppress(FileNotFoundError),
                open(f"{self.directory}/{name}", "rb") as file,
            ):
                file.seek(max(0, os.fstat(file.fileno()).st_size - _LOG))
                text = file.read().decode(errors="replace").strip()
                if text:
                    return " ".join(text.split("\n")[-1].split())
        return "it said nothing"

    def end(self) -> None:
        """End the daemon, its guests go on. Raises UuidfsError when even SIGKILL does not."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + END
            told = False
            while self.runs():
                process = self.process()
                if process is not None:
                    with process:
                        process.go_on()
                        if not told:
                            process.send(number)
                            told = True
                if time.monotonic() >= deadline:
                    break
                time.sleep(0.005)
            else:
                return
        raise UuidfsError(f"the peer daemon in {self.directory} does not end")

    def stop(self, at_home: Callable[[], bool]) -> None:
        """End it and remove its directories, when the guest is home or has ended.

        ``at_home``: whether the guest runs on the host, by libvirt's word; asked when the daemon
        has ended, since a hop could still have come to its end before. Where it does, what is
        left of QEMU in here has never run, and is killed; else that raises UuidfsError, and
        nothing is removed.
        """
        self.end()
        guest = self.guest()
        if guest is not None:
            with guest:
                if not at_home():
                    raise UuidfsError(f"a QEMU process is left in {self.directory}: {guest.pid}")
                guest.send(signal.SIGKILL)
                deadline = time.monotonic() + END
                while guest.state not in {"", "Z", "X"} and time.monotonic() < deadline:
                    time.sleep(0.005)
        self.remove()

    def remove(self) -> None:
        """Remove its directories."""
        change.remove_tree(self.directory)
