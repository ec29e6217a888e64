"""A machine of its own: an emulated Debian that boots, goes on from a saved state, and loses power.

QEMU emulates the CPU (no KVM), so all of it is slow: a boot takes half a minute, a resume some
seconds. Commands go in by ssh, through a port of the loopback; the machine reaches nothing else.
"""

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.host.host import PATIENCE, Host, HostError, copy_while_stopped
from tests.support.process import Done
from tests.support.process import run as run_here

# What a saved state must have been made with; see state_key().
# One CPU: with two emulated at once, QEMU 7.2 under load let Linux 6.12, which patches its own code
# at boot, run into its own breakpoint ("Oops: int3").
HARDWARE = (
    *("-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", "3G"),
    *("-nodefaults", "-no-user-config", "-display", "none"),
    *("-device", "virtio-net-pci,netdev=net,romfile=", "-device", "virtio-rng-pci"),
)
# On a busy machine an emulated timer is late, and the kernel that tests it at boot panics.
_KERNEL = "root=/dev/vda rw console=ttyS0 net.ifnames=0 quiet systemd.show_status=0 no_timer_check"


class Machine(Host):
    """One emulated host, with its disk in ``directory``.

    ``image`` is what tests/host/build made. ``base`` is the disk that this one's is a layer over:
    the image's own, or that of a saved state. Nothing writes to either."""

    emulated = True

    def __init__(self, image: Path, directory: Path, base: Path | None = None) -> None:
        self.image = image
        self.directory = directory
        self.disk = directory / "disk.qcow2"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        directory.mkdir(parents=True, exist_ok=True)
        if not self.disk.exists():
            below = base or image / "base.raw"
            form = "qcow2" if base else "raw"
            subprocess.run(
                ["qemu-img", "create", "-q", "-f", "qcow2", "-b", below, "-F", form, self.disk],
                check=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    # --- its power --------------------------------------------------------------------

    def boot(self) -> float:
        """Boot from the disk and wait until all units have started; the seconds that took."""
        began = time.monotonic()
        self._power_on()
        self._connect()
        self.settle()
        return time.monotonic() - began

    def resume(self, state: Path) -> float:
        """Go on from a saved state, on whose disk this one's is a layer; the seconds it took."""
        began = time.monotonic()
        self._power_on("-incoming", f"exec:cat '{state}/memory'")
        while self.qmp("query-status")["status"] == "inmigrate":
            self._alive()
            time.sleep(0.1)
        self.qmp("cont")  # it was stopped when it was saved
        self._connect()
        return time.monotonic() - began

    def save(self, state: Path) -> None:
        """Move memory and disk to a directory, from which resume() goes on. This machine ends."""
        self.do("sync")
        self._hang_up()
        state.mkdir(parents=True)
        self.qmp("stop")
        self.qmp("migrate-set-parameters", **{"max-bandwidth": 10 << 30})
        self.qmp("migrate", uri=f"exec:cat >'{state}/memory'")
        while (status := self.qmp("query-migrate")["status"]) != "completed":
            if status in ("failed", "cancelled"):
                raise HostError(f"the state was not saved: {status}")
            time.sleep(0.2)
        self.qmp("quit")
        self._ended()
        self.disk.rename(state / "disk.qcow2")

    def cut(self) -> None:
        """Cut the power: what the disk has not got by now is lost.

        QEMU is killed, with all that its qcow2 driver and the guest's kernel had not written.
        cache=none keeps the host's page cache out of it."""
        if self._process and self._process.poll() is None:
            self._process.kill()
        self._ended()

    def copy_disk(self, to: Path) -> None:
        """Copy the disk as a cut at this moment would leave it; the machine then goes on."""
        assert self._process
        copy_while_stopped(self._process.pid, self.disk, to)

    def reboot(self) -> float:
        """Reboot in good order and wait until all units have started; the seconds it took."""
        began = time.monotonic()
        before = self.do("cat /proc/sys/kernel/random/boot_id")
        self.run("systemctl reboot")
        self._hang_up()
        while True:
            self._connect()
            if self.run("cat /proc/sys/kernel/random/boot_id").out not in ("", before):
                break
            self._hang_up()
            time.sleep(1)
        self.settle()
        return time.monotonic() - began

    def _power_on(self, *more: str) -> None:
        assert self._process is None, "it runs already"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        drive = f"file={self.disk},if=virtio,format=qcow2,cache=none,discard=unmap"
        net = f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self._port}-:22"
        command: list[str | Path] = [
            *("setpriv", "--pdeathsig", "KILL", "qemu-system-x86_64", *HARDWARE),
            *("-drive", drive, "-netdev", net, "-append", f"{_KERNEL} {self._words()}"),
            *("-kernel", self.image / "vmlinuz", "-initrd", self.image / "initrd"),
            *("-serial", f"file:{self.directory}/console"),
            *("-qmp", f"unix:{self.directory}/qmp,server=on,wait=off", *more),
        ]
        (self.directory / "qmp").unlink(missing_ok=True)
        with (self.directory / "qemu.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        while not (self.directory / "qmp").exists():
            self._alive()
            time.sleep(0.05)

    def _words(self) -> str:
        """What more the image's kernel is to be told."""
        return (self.image / "kernel-words").read_text()

    def _alive(self) -> None:
        if self._process is None or self._process.poll() is not None:
            log = (self.directory / "qemu.log").read_text(errors="replace")
            raise HostError(f"the machine has ended: {log}\n{self.console()}")

    def _ended(self) -> None:
        if self._process:
            self._process.wait()
            self._process = None
        self._hang_up()

    # --- QEMU's and the machine's word -----------------------------------------------------

    def qmp(self, command: str, **arguments: object) -> Any:  # as QEMU answers
        """Send one command to QEMU and return what it says."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.directory / "qmp"))
            stream = connection.makefile("rw")
            stream.readline()  # its greeting
            answer: Any = None
            for name, words in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": name, "arguments": words}) + "\n")
                stream.flush()
                while not {"return", "error"} & (answer := json.loads(stream.readline())).keys():
                    pass
                if "error" in answer:
                    raise HostError(f"{name}: {answer['error']}")
            return answer["return"]

    def console(self) -> str:
        """The end of what the machine has printed on its serial console."""
        with contextlib.suppress(OSError):
            return (self.directory / "console").read_text(errors="replace")[-3000:]
        return ""

    # --- commands -----------------------------------------------------------------------

    def run(self, command: str, *, data: bytes = b"", timeout: float = PATIENCE) -> Done:
        """Run a command in the machine's shell, as root."""
        return run_here("ssh", *self._ssh(), "host", command, data=data, timeout=timeout)

    def start(self, command: str, said: Path) -> "subprocess.Popen[bytes]":
        """Start a command and do not wait for it; what it prints goes to a file. A cut ends it."""
        words = ["ssh", *self._ssh(), "host", command]
        with said.open("wb") as out:
            return subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )

    def put(self, files: Sequence[Path], directory: str) -> None:
        """Copy files into a directory of the machine, which is made."""
        self.do(f"mkdir -p '{directory}'")
        subprocess.run(["scp", "-q", *self._ssh(), *files, f"host:{directory}"], check=True)

    def _ssh(self) -> list[str]:
        options = {
            "HostName": "127.0.0.1",
            "User": "root",
            "Port": str(self._port),
            "IdentityFile": str(self.image / "key"),
            "IdentitiesOnly": "yes",
            "ControlPath": f"{self.directory}/ssh",
            "StrictHostKeyChecking": "no",  # another machine at each test, behind our own port
            "UserKnownHostsFile": "/dev/null",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            "ConnectTimeout": "60",
        }
        return ["-F", "none", *(f"-o{key}={value}" for key, value in options.items())]

    def _connect(self) -> None:
        """Open the connection that all commands share."""
        end = time.monotonic() + PATIENCE
        words = ["ssh", "-M", "-N", "-f", *self._ssh(), "host"]
        silent = subprocess.DEVNULL
        while subprocess.run(
            words, stdin=silent, stdout=silent, stderr=silent, check=False
        ).returncode:
            self._alive()
            if time.monotonic() > end:
                raise HostError(f"no ssh within {PATIENCE} s\n{self.console()}")
            time.sleep(0.5)

    def _hang_up(self) -> None:
        words = ["ssh", *self._ssh(), "-O", "exit", "host"]
        subprocess.run(words, capture_output=True, check=False)
        (self.directory / "ssh").unlink(missing_ok=True)
