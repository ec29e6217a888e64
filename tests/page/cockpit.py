"""A real Cockpit with the page, as it is installed, and a real uuidfs for it to run.

``cockpit-ws --local-session`` serves one session without PAM and systemd: that of the bridge which
it starts. The bridge runs where the test wants: here, as somebody else, or inside a private host.
"""

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.process import REPOSITORY, wait_for

WS = ("/usr/lib/cockpit/cockpit-ws", "/usr/libexec/cockpit-ws")
OPTIONS = ("--no-tls", "-a", "127.0.0.1")
BRIDGE = "cockpit-bridge"
INSTALL = REPOSITORY / "packaging/cockpit/install"


def program() -> str | None:
    """cockpit-ws, or None."""
    return next((path for path in WS if Path(path).exists()), None)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Cockpit:
    """cockpit-ws on a port of its own; a context manager.

    ``words``: the command that uuidfs is. ``around``: a command that runs the bridge somewhere.
    ``environment`` is the bridge's, too.
    """

    def __init__(
        self,
        work: Path,
        words: Sequence[str],
        *,
        around: Sequence[str] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        self.work = work
        work.mkdir(parents=True, exist_ok=True)
        work.chmod(0o755)
        subprocess.run([INSTALL, work / "installed"], check=True)
        (work / "bin").mkdir()
        script(work / "bin/uuidfs", [*words], '"$@"')
        shutil.copytree(work / "installed/usr/share/cockpit", work / "data/cockpit")
        self._environment = {
            "PATH": f"{work}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "XDG_DATA_HOME": f"{work}/data",
            "HOME": "/root",
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            **(environment or {}),
        }
        settings = [f"{name}={value}" for name, value in self._environment.items()]
        script(work / "bridge", [*around, "env", *settings, BRIDGE])
        self.port = free_port()

    def __enter__(self) -> Self:
        ws = program()
        assert ws is not None
        self._log = (self.work / "ws.log").open("wb")
        self._process = subprocess.Popen(
            [ws, *OPTIONS, "-p", str(self.port), f"--local-session={self.work}/bridge"],
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        wait_for(self._answers, "cockpit-ws listens")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.wait(60)
        self._log.close()
        if kind is not None:
            sys.stdout.write((self.work / "ws.log").read_text(errors="replace"))

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self.work / "ws.log").read_text(errors="replace")
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def url(self, path: str = "") -> str:
        """The page's address, without the shell around it. ``path``: of the page's own, after #."""
        return f"http://127.0.0.1:{self.port}/cockpit/@localhost/uuidfs/index.html#/{path}"


def script(path: Path, words: Sequence[str], more: str = "") -> None:
    """A program that runs others."""
    path.write_text(f"#!/bin/sh\nexec {shlex.join(words)} {more}\n")
    path.chmod(0o755)
