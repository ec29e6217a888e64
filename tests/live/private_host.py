"""A private libvirt host: a namespace with daemons and directories of its own.

Everything runs in a mount, PID and network namespace whose process 1 is keeper.py. So two
hosts run side by side at the same paths, and whatever a test starts or mounts is gone when
the host is closed or the test run dies.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.support.process import PATIENCE, REPOSITORY, Done, run, wait_for

KEEPER = Path(__file__).with_name("keeper.py")
# libvirt's daemon for QEMU: a program's name or path, libvirtd or virtqemud.
PROGRAM = os.environ.get("UUIDFS_LIVE_DAEMON", "libvirtd")
DAEMON = Path(PROGRAM).name
# Its socket below /run/libvirt.
SOCKET = "libvirt-sock" if DAEMON == "libvirtd" else f"{DAEMON}-sock"
DAEMON_LOG = f"/var/log/libvirt/{DAEMON}.log"
PROGRAMS = (PROGRAM, "virtlogd", "virsh", "qemu-system-x86_64", "qemu-img", "nsenter")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
}
if DAEMON != "libvirtd":
    # Without a URI Debian's client asks libvirtd or virtproxyd, and there is neither.
    ENVIRONMENT["LIBVIRT_DEFAULT_URI"] = "qemu:///system"
if DAEMON != PROGRAM:  # for those that start one like it
    ENVIRONMENT["PATH"] = f"{Path(PROGRAM).parent}:{ENVIRONMENT['PATH']}"

# Directory of the host in the test's own tree -> where it is seen in the namespace. All of
# /run is private: it covers /run/libvirt, /run/uuidfs and the daemons' pid files.
BINDS = {
    "etc": "/etc/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
    "run": "/run",
}


def missing() -> str | None:
    """Say what this machine lacks for a private host, or None."""
    if os.geteuid() != 0:
        return "not root"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    for program in PROGRAMS:
        if shutil.which(program, path=path) is None:
            return f"no {program}"
    probe = subprocess.run(
        ["unshare", "--mount", "--pid", "--net", "--fork", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"unshare: {probe.stderr.strip()}" if probe.returncode else None


class PrivateHost:
    """One host; a context manager. ``cache`` is a copy of /var/cache/libvirt to start from."""

    def __init__(
        self, *, log_size: int = 2097152, log_backups: int = 3, cache: Path | None = None
    ) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="uuidfs-live-"))
        self._log = {"max_size": log_size, "max_backups": log_backups}
        self._make_tree(cache)
        self._keeper = self._start_keeper()
        self.virtlogd = Daemon(self, "virtlogd", "/run/virtlogd.pid")
        self.libvirtd = Daemon(self, DAEMON, f"/run/{DAEMON}.pid")

    def __enter__(self) -> "PrivateHost":
        try:
            self.virtlogd.start()
            self.libvirtd.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the keeper end everything in the namespace and remove the directories."""
        with self._keeper:  # waits, and closes the pipes
            if self._keeper.stdin:
                self._keeper.stdin.close()
        assert not self.root.exists(), f"left over: {self.root}"

    def _make_tree(self, cache: Path | None) -> None:
        for part in BINDS:
            (self.root / part).mkdir()
        for part in ("etc/qemu", "etc/hooks", "lib/images", "log/qemu", "run/lock"):
            (self.root / part).mkdir()
        if cache:
            shutil.copytree(cache, self.root / "cache", dirs_exist_ok=True)
        qemu = self.root / "lib/qemu"
        qemu.mkdir(mode=0o750)
        owner = Path("/var/lib/libvirt/qemu").stat()
        os.chown(qemu, owner.st_uid, owner.st_gid)
        (self.root / "kvm").touch(mode=0)  # else libvirt probes a broken /dev/kvm at every step
        (self.root / f"etc/{DAEMON}.conf").write_text(
            'auth_unix_rw = "none"\n'
            'host_uuid = "6b7a1c52-0000-4000-8000-00000000beef"\n'
            'log_filters = "2:conf.virdomainobjlist"\n'  # reload() waits for its messages
            f'log_outputs = "2:file:{DAEMON_LOG}"\n'
        )
        (self.root / "etc/qemu.conf").write_text(
            'security_driver = "none"\nnamespaces = [ ]\n'
            "cgroup_controllers = [ ]\nremember_owner = 0\n"
        )
        (self.root / "etc/virtlogd.conf").write_text(
            "".join(f"{key} = {value}\n" for key, value in self._log.items())
        )

    def _start_keeper(self) -> "subprocess.Popen[str]":
        plan = [[str(self.root / part), target] for part, target in BINDS.items()]
        if Path("/dev/kvm").exists():
            plan.append([str(self.root / "kvm"), "/dev/kvm"])
        unshare = ["unshare", "--mount", "--pid", "--net", "--fork"]
        keeper = subprocess.Popen(
            [*unshare, sys.executable, "-IS", str(KEEPER), str(self.root), json.dumps(plan)],
            start_new_session=True,  # Ctrl-C is for the tests; the keeper tidies up after them
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert keeper.stdout
        word, _, pid = keeper.stdout.readline().partition(" ")
        if word != "ready":
            keeper.kill()
            shutil.rmtree(self.root)
            raise RuntimeError("the namespace did not come up; see the messages above")
        self.keeper_pid = int(pid)
        return keeper

    def run(
        self,
        *command: str,
        env: dict[str, str] | None = None,
        text: str = "",
        timeout: float = PATIENCE,
    ) -> Done:
        """Run a command in the namespace, with ``text`` on its standard input."""
        return run(
            *self.inside(*command),
            env=ENVIRONMENT | (env or {}),
            data=text.encode(errors="surrogateescape"),
            timeout=timeout,
        )

    def inside(self, *command: str) -> list[str]:
        """The words that run a command in the namespace."""
        return ["nsenter", "-m", "-p", "-n", "-t", str(self.keeper_pid), "--", *command]

    def virsh(self, *words: str, env: dict[str, str] | None = None) -> Done:
        """Run one virsh command; a start again where QEMU came before swtpm listened
        (docs/libvirt-defects.md)."""
        done = self.run("virsh", *words, env=env)
        if words[0] == "start" and "swtpm.sock': Connection refused" in done.err:
            done = self.run("virsh", *words, env=env)
        return done

    def uuidfs(self, *words: str, env: dict[str, str] | None = None) -> Done:
        """Run uuidfs as it is installed, or from this repository."""
        command, extra = uuidfs_command()
        return self.run(*command, *words, env=extra | (env or {}))

    def install_hook(self) -> None:
        """Install the hook as an administrator does, and let libvirtd notice it."""
        self.uuidfs("hook", "install").ok()
        self.reload()

    def restart(self) -> None:
        """Stop and start libvirtd; guests go on running."""
        self.libvirtd.stop()
        self.libvirtd.start()
        self.reconnected()

    def reconnected(self) -> None:
        """Wait until libvirtd has its running domains again.

        It accepts connections before; one that ends while it reconnects (9.0) gives the domain up
        as dead, with or without us. domblkerror is a job of the domain, so it waits in its turn.
        """
        for name in self.virsh("list", "--uuid").ok().out.split():
            self.virsh("domblkerror", name)

    def reload(self) -> None:
        """Make libvirtd read the configs again (SIGHUP) and wait until it has begun to.

        It holds the lock of its list of domains while it does, so virsh waits for the rest.
        """
        self.virsh("uri").ok()  # a daemon that has just started ignores SIGHUP
        log = self.path(DAEMON_LOG)
        before = log.stat().st_size
        self.libvirtd.signal("HUP")
        wait_for(
            lambda: b"Scanning for configs in /etc/libvirt/qemu\n" in log.read_bytes()[before:],
            "libvirtd reads its configs again",
        )

    def path(self, path: str) -> Path:
        """Where a path of the namespace lies outside; links in it are not looked at."""
        for part, target in BINDS.items():
            if path == target or path.startswith(target + "/"):
                return self.root / part / path[len(target) + 1 :]
        return Path(f"/proc/{self.keeper_pid}/root{path}")

    def resolve(self, path: str) -> Path:
        """The same for an absolute symlink's target: what the path means in the namespace."""
        outside = self.path(path)
        if outside.is_symlink() and str(outside.readlink()).startswith("/"):
            return self.resolve(str(outside.readlink()))
        return outside

    def qemu_pid(self, name: str) -> int:
        """The process id, inside the namespace, of a running domain."""
        # libvirt 9.0 escapes its name as if it were XML's.
        file = escape(name, {"'": "&apos;", '"': "&quot;"})
        return int(self.path(f"/run/libvirt/qemu/{file}.pid").read_text())

    def write_log(self, name: str, text: str) -> None:
        """Let a running domain's QEMU say something: into the pipe to virtlogd."""
        pipe = self.path(f"/proc/{self.qemu_pid(name)}/fd/2")
        with pipe.open("w") as file:
            file.write(text)


class Daemon:
    """libvirtd (or virtqemud) or virtlogd of one host."""

    def __init__(self, host: PrivateHost, program: str, pid_file: str) -> None:
        self.host = host
        self.program = program
        self.pid_file = pid_file
        self.pid = 0

    def start(self) -> None:
        """Start it; returns when it accepts connections."""
        self.host.run(self.program, "--daemon", "--pid-file", self.pid_file).ok()
        self.pid = int(self.host.path(self.pid_file).read_text())

    def signal(self, name: str) -> None:
        """Send a signal by its name without SIG."""
        self.host.run("kill", "-s", name, str(self.pid)).ok()

    def _end(self, name: str) -> None:
        self.signal(name)
        gone = self.host.path(f"/proc/{self.pid}")
        wait_for(lambda: not gone.exists(), f"{self.program} has ended after SIG{name}")

    def stop(self) -> None:
        """SIGTERM, and wait for the end."""
        self._end("TERM")

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._end("KILL")


def uuidfs_command() -> tuple[Sequence[str], dict[str, str]]:
    """The command to test and the environment it needs: UUIDFS_COMMAND, or this repository."""
    installed = os.environ.get("UUIDFS_COMMAND")
    if installed:
        return shlex.split(installed), {}
    return [sys.executable, "-m", "uuidfs"], {"PYTHONPATH": str(REPOSITORY)}
