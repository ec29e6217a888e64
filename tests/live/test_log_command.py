"""uuidfs log and history with libvirt's and virtlogd's own logs."""

import subprocess
import threading
from itertools import count

import pytest

from tests.live import guest
from tests.live.conftest import MakeHost
from tests.live.private_host import ENVIRONMENT, PrivateHost, uuidfs_command
from tests.live.test_logs import BACKUPS, LOG_SIZE, define, history, roll, say
from tests.support.process import wait_for


def said(text: str) -> list[str]:
    """The lines of ``say``."""
    return [line.rstrip("-") for line in text.splitlines() if line.startswith("say ")]


def named(text: str) -> list[str]:
    """The names under which QEMU was started."""
    starts = [line for line in text.splitlines() if line.startswith("-name guest=")]
    return [line.removeprefix("-name guest=").partition(",")[0] for line in starts]


class Follower:
    """``uuidfs log --follow`` inside a host; a context manager."""

    def __init__(self, host: PrivateHost, name: str) -> None:
        command, env = uuidfs_command()
        words = host.inside("sh", "-c", 'echo $$; exec "$@"', "sh", *command, "log", "-f", name)
        self.host = host
        self.process = subprocess.Popen(words, env=ENVIRONMENT | env, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self._pid = self.process.stdout.readline().decode().strip()  # inside; nsenter has forked
        self.text = ""
        self._thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        assert self.process.stdout is not None
        while data := self.process.stdout.read1(65536):  # type: ignore[attr-defined] # buffered
            self.text += data.decode()

    def __enter__(self) -> "Follower":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.host.run("kill", self._pid)
        self._thread.join()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.mark.parametrize("hook", [True, False], ids=["hook", "plain host"])
def test_one_log_through_rotations_a_rename_and_a_start(
    make_host: MakeHost, uuidfs_works: None, hook: bool
) -> None:
    host = make_host(log_size=LOG_SIZE, log_backups=BACKUPS)
    if hook:
        host.install_hook()
    define(host, "a", 1)
    host.virsh("start", "a").ok()
    numbers = count()
    with Follower(host, "a") as follower:
        roll(host, "a", numbers, 2)
        printed = host.uuidfs("log", "a").ok().out
        assert printed == history(host, "a")
        assert host.uuidfs("log", guest.uuid(1)).ok().out == printed
        wait_for(lambda: follower.text == printed, "the follower has printed it all")
        host.virsh("destroy", "a").ok()
        host.virsh("domrename", "a", "b").ok()
        host.virsh("start", "b").ok()
        say(host, "b", f"say {next(numbers):05}")
        printed = host.uuidfs("log", "b").ok().out
        expected = [f"say {number:05}" for number in range(next(numbers))]
        wait_for(lambda: said(follower.text) == expected, "it goes on under the new name")
        assert named(follower.text) == ["a", "b"]
    if hook:
        assert said(printed) == expected
        assert named(printed) == ["a", "b"]
        found = host.uuidfs("history", "b", "--json").ok().json
        assert found["former_names"] == ["a"]
        kinds = [event["event"] for event in found["events"]]
        assert kinds.count("renamed") == 1
        host.virsh("destroy", "b").ok()
        host.virsh("undefine", "b").ok()
        host.uuidfs("convert", "--all").ok()
        gone = host.uuidfs("log", guest.uuid(1)).ok().out
        assert gone.startswith(printed)
        assert gone.endswith(": shutting down, reason=destroyed\n")
        assert host.uuidfs("log", "a", "--lines", "1").ok().out == gone.splitlines(True)[-1]
