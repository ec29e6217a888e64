"""needrestart, the real one, tells what to do about guests with an outdated QEMU."""

import os
import shlex
from pathlib import Path

import pytest

from tests.live.migration import command, uuidfs
from tests.live.private_host import PrivateHost
from tests.live.updates import QEMU, copy_qemu, run_guest, upgraded
from tests.support.process import REPOSITORY, Done

SNIPPET = REPOSITORY / "packaging/needrestart/uuidfs.conf"
CONFIG = Path("/etc/needrestart/needrestart.conf")
PROGRAM = "/run/uuidfs-program"
ADVICE = "run: uuidfs local-migrate --outdated"


@pytest.fixture
def updated(ready: PrivateHost) -> PrivateHost:
    """A host with needrestart's own configuration, which reads our snippet as it reads conf.d."""
    if not CONFIG.exists():
        if os.environ.get("UUIDFS_REQUIRE_LIVE") == "1":
            pytest.fail("needrestart is not installed")
        pytest.skip("needs needrestart")
    host = ready
    copy_qemu(host)
    words, env = command()
    script = host.path(PROGRAM)
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in env.items())
    script.write_text(f'#!/bin/sh\n{exports}exec {shlex.join(words)} "$@"\n')
    script.chmod(0o755)
    host.run("mkdir", "/run/conf.d").ok()
    snippet = SNIPPET.read_text()
    assert "/usr/bin/uuidfs" in snippet
    host.path("/run/conf.d/uuidfs.conf").write_text(snippet.replace("/usr/bin/uuidfs", PROGRAM))
    text = CONFIG.read_text()
    assert "/etc/needrestart/conf.d" in text
    host.path("/run/needrestart.conf").write_text(
        text.replace("/etc/needrestart/conf.d", "/run/conf.d")
    )
    return host


def needrestart(host: PrivateHost, *words: str) -> Done:
    """Run it: on this host's processes it lists only."""
    return host.run("needrestart", "-c", "/run/needrestart.conf", "-r", "l", *words)


def test_it_names_the_remedy_where_guests_are_outdated(updated: PrivateHost) -> None:
    host = updated
    run_guest(host)
    said = needrestart(host)
    assert said.code == 0, said
    assert "uuidfs" not in said.out + said.err
    upgraded(host.path(QEMU))
    said = needrestart(host)
    assert said.code == 0, said
    assert said.err.count(ADVICE) == 1
    assert f"binary replaced: {QEMU}" in said.err
    assert "uuidfs" not in said.out
    assert host.path("/run/uuidfs/outdated.json").exists(), "the metrics are up to date as well"
    for words in (("-b",), ("-q",), ("-k",)):
        said = needrestart(host, *words)
        assert ADVICE not in said.out + said.err, words
    uuidfs(host, "local-migrate", "--outdated").ok()
    said = needrestart(host)
    assert ADVICE not in said.out + said.err


def test_its_exit_status_is_its_own(updated: PrivateHost) -> None:
    """A Nagios plugin's, for example, with guests that are outdated and without the snippet."""
    host = updated
    run_guest(host)
    upgraded(host.path(QEMU))
    calls = (("-p", "-l"), ("-r", "nonsense"))
    codes = [needrestart(host, *words).code for words in calls]
    host.path("/run/conf.d/uuidfs.conf").write_text("1;\n")
    assert codes == [needrestart(host, *words).code for words in calls]
    assert codes[1] != 0


def test_without_uuidfs_it_says_nothing(updated: PrivateHost) -> None:
    """A package that was removed leaves its configuration files."""
    host = updated
    run_guest(host)
    upgraded(host.path(QEMU))
    host.path(PROGRAM).unlink()
    said = needrestart(host)
    assert said.code == 0
    assert "uuidfs" not in said.out + said.err
