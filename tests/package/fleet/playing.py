"""Runs ansible-playbook with the collection installed as from Galaxy, and tells how it ended."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import PATIENCE, REPOSITORY

COLLECTION = REPOSITORY / "packaging/ansible"


@dataclass(frozen=True)
class Play:
    """How a play ended: per host, and the whole text."""

    code: int
    stats: dict[str, dict[str, int]]
    text: str

    def changed(self) -> dict[str, int]:
        """How many tasks changed something."""
        return {host: numbers["changed"] for host, numbers in self.stats.items()}

    def failed(self) -> dict[str, bool]:
        """Which hosts failed."""
        return {host: bool(numbers["failed"]) for host, numbers in self.stats.items()}

    def ok(self) -> "Play":
        """Return itself after a success, else fail the test with all that is known."""
        assert self.code == 0, self.text
        return self


@dataclass(frozen=True)
class Ansible:
    """An installed ansible-core, with a directory of its own where the collection is installed."""

    bin: Path
    home: Path

    def environment(self) -> dict[str, str]:
        """What its programs are run with; nothing is read or written outside of ``home``."""
        return {
            "ANSIBLE_COLLECTIONS_PATH": str(self.home / "collections"),
            "ANSIBLE_CONNECTION_PLUGINS": str(Path(__file__).parent / "connections"),
            "ANSIBLE_FORKS": "3",
            "ANSIBLE_HOME": str(self.home / "home"),
            "ANSIBLE_LOCAL_TEMP": str(self.home / "tmp"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_NOCOWS": "1",
            "ANSIBLE_PIPELINING": "1",
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "PATH": f"{self.bin}:/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def run(self, program: str, *words: str | Path, cwd: Path | None = None) -> str:
        """Run one of its programs, which has to succeed; returns what it says."""
        done = subprocess.run(
            [self.bin / program, *words],
            capture_output=True,
            text=True,
            check=False,
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            env=self.environment(),
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def install(self) -> Path:
        """Build the collection and install what was built; returns the tarball."""
        built = self.home / "built"
        self.run("ansible-galaxy", "collection", "build", COLLECTION, "--output-path", built)
        (tarball,) = built.iterdir()
        self.run("ansible-galaxy", "collection", "install", "--offline", tarball)
        return tarball

    def words(
        self, inventory: Path, playbook: str, *words: str, variables: Mapping[str, object]
    ) -> list[str | Path]:
        """The command line of a play."""
        command = self.bin / "ansible-playbook"
        values = json.dumps(variables)
        return [command, "-i", inventory, "-e", values, *words, f"uuidfs.uuidfs.{playbook}"]

    def play(
        self,
        inventory: Path,
        playbook: str,
        *words: str,
        variables: Mapping[str, object],
        before: Sequence[str | Path] = (),
    ) -> Play:
        """Run a playbook of the collection; ``before`` are words to run it with."""
        done = subprocess.run(
            [*before, *self.words(inventory, playbook, *words, variables=variables)],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            env=self.environment(),
            timeout=PATIENCE,
        )
        text = done.stdout + done.stderr
        stats = {}
        for line in text.partition("PLAY RECAP")[2].splitlines():
            host, colon, numbers = line.partition(" : ")
            if colon:
                pairs = (word.split("=") for word in numbers.split())
                stats[host.strip()] = {key: int(value) for key, value in pairs}
        return Play(done.returncode, stats, text)


def find() -> Path | None:
    """Where ansible-core is: UUIDFS_ANSIBLE, beside the interpreter of the tests, or Debian's."""
    for place in (os.environ.get("UUIDFS_ANSIBLE"), Path(sys.executable).parent, "/usr/bin"):
        if place and Path(place, "ansible-playbook").exists():
            return Path(place)
    return None
