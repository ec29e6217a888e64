"""The private peer daemon: a second libvirtd on this host, with directories of its own.

It runs in a mount namespace in which DIR/etc, DIR/run ... lie over libvirt's directories, so
that neither daemon sees the other's files. Its host UUID is another one, since libvirt compares
them ("Attempt to migrate guest to the same host"). It survives whoever started it, and can be
started again over the same directories: then it finds its QEMU processes again.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
import uuid as uuids

from uuidfs.errors import UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import opened
from uuidfs.files.small import private
from uuidfs.layout.places import Place

BINDS = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt/qemu",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
}

PATIENCE = 30.0  # seconds for the daemon to begin and to end

GONE = 1.0  # seconds without any process of it, before it counts as failed

_LOG = 4096  # bytes of its log that an error quotes from

_OWN = {  # of qemu.conf; the rest is the host's
    "stdio_handler": '"file"',  # virtlogd is the host's
    "security_driver": '"none"',  # the host's removes the profile of this UUID with its process
    "auto_dump_path": '"/var/lib/libvirt/qemu/dump"',
}

# Bind mounts first: NVRAM lies below a directory that is covered, and its path is in the XML.
_SCRIPT = """
set -e
directory=$1 lib=$2 kept=$3; shift 3
mount --make-rprivate /
if [ -d "$kept" ]; then mount --bind "$kept" "$directory/lib/nvram"; fi
mount --rbind "$directory/lib" /var/lib/libvirt/qemu
mount --bind /run/libvirt "$directory/host"
mount --bind "$directory/etc" /etc/libvirt
mount --bind "$directory/log" /var/log/libvirt
mount --bind "$directory/cache" /var/cache/libvirt
mount --rbind "$directory/run" /run/libvirt
exec "$@"
"""


class PeerFailed(UuidfsError):
    """The peer daemon did not start; nothing was moved."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the peer daemon did not start: {reason}")
        self.reason = reason


class PeerDaemon:
    """The daemon that belongs to a directory, whether it runs or not."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.socket = f"{directory}/run/libvirt-sock"
        self.uri = f"qemu+unix:///system?socket={self.socket}"
        # As the peer sees the host's: its own sockets lie over them.
        self.host_uri = f"qemu+unix:///system?socket={directory}/host/libvirt-sock"

    def make(self, owner: tuple[int, int]) -> None:
        """Make the directories; ``owner`` is the user and group of the guest's QEMU process."""
        for part in (*BINDS, "host"):
            change.make_path(f"{self.directory}/{part}", 0o711)
        for part in ("log/qemu", "run/qemu", "lib/nvram", "etc/qemu"):
            change.make_path(f"{self.directory}/{part}")
        os.chown(f"{self.directory}/lib", *owner)
        for name, text in (("libvirtd.conf", _daemon_conf()), ("qemu.conf", _qemu_conf())):
            with open(f"{self.directory}/etc/{name}", "w", opener=private) as file:
                file.write(text)
        # Else it asks QEMU for seconds what it can do.
        change.copy_tree("/var/cache/libvirt/qemu", f"{self.directory}/cache/qemu")

    @property
    def pid(self) -> int | None:
        """Its process, None when it does not run."""
        try:
            with open(f"{self.directory}/peer.pid") as file:
                pid = int(file.read())
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                return pid if self.directory.encode() in file.read() else None
        except (OSError, ValueError):
            return None

    def was_started(self) -> bool:
        """Whether it ever was, so that there may be a guest in it."""
        return os.path.exists(f"{self.directory}/start.log")

    def start(self) -> None:
        """Start it, or find it running; returns when it listens. Raises PeerFailed."""
        if self.pid is None and not self._coming():
            self._spawn()
        deadline = time.monotonic() + PATIENCE
        seen = time.monotonic()
        while self.pid is None or not self._listens():
            now = time.monotonic()
            # A look at /proc can miss a process that forks meanwhile, as daemons do.
            seen = now if self.pid is not None or self._coming() else seen
            if now >= deadline or now - seen > GONE:
                raise PeerFailed(self._said())
            time.sleep(0.005)

    def _coming(self) -> bool:
        """Whether somebody who died since has just started it: it has no pid file yet."""
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != os.getpid():
                with contextlib.suppress(OSError), open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
                    if self.directory.encode() in words or (
                        f"{self.directory}/peer.pid".encode() in words
                    ):
                        return True
        return False

    def _spawn(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._unlink("run", "libvirt-sock")
        command = [
            "setsid",
            "--fork",
            "unshare",
            "--mount",
            "sh",
            "-c",
            _SCRIPT,
            "uuidfs-peer",
            self.directory,
            f"{self.directory}/lib",
            "/var/lib/libvirt/qemu/nvram",
            "libvirtd",
            "--daemon",
            "--pid-file",
            f"{self.directory}/peer.pid",
            "--config",
            f"{self.directory}/etc/libvirtd.conf",
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
        with open(f"{self.directory}/start.log", "wb") as log:
            subprocess.run(  # noqa: S603 - fixed words and our own directory
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                check=False,
            )

    def _unlink(self, part: str, name: str) -> None:
        directory = opened(Place(f"{self.directory}/{part}"))
        if directory is not None:
            with directory:
                change.unlink(directory, name)

    def _listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(self.socket)
            except OSError:
                return False
        return True

    def _said(self) -> str:
        said = b""
        for name in ("start.log", "log/peer.log"):
            with (
                contextlib.suppress(FileNotFoundError),
                open(f"{self.directory}/{name}", "rb") as file,
            ):
                said += file.read(_LOG)
        return " ".join(said.decode(errors="replace").split()) or "it said nothing"

    def stop(self) -> None:
        """End it and remove its directories; to be called when no guest lives in it."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + PATIENCE
            while self.pid is not None:
                if time.monotonic() >= deadline:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    deadline += PATIENCE
                time.sleep(0.005)
        # First, so that a kill in what follows leaves nobody to look for in there.
        with contextlib.suppress(FileNotFoundError):
            self._unlink("", "start.log")
        change.remove_tree(self.directory)


def _daemon_conf() -> str:
    return (
        f'host_uuid = "{uuids.uuid4()}"\n'
        'auth_unix_rw = "none"\n'
        'unix_sock_rw_perms = "0700"\n'
        'log_outputs = "3:file:/var/log/libvirt/peer.log"\n'
        "max_clients = 20\n"
    )


def _qemu_conf() -> str:
    """The host's, with what has to be different in the peer; the parser takes the first."""
    text = ""
    with contextlib.suppress(FileNotFoundError), open("/etc/libvirt/qemu.conf") as file:
        text = file.read()
    for key in _OWN:
        text = re.sub(rf"(?m)^[ \t]*{key}[ \t]*=[ \t]*(\[[^\]]*\]|.*)$", "", text)
    return text + "\n" + "".join(f"{key} = {value}\n" for key, value in _OWN.items())
