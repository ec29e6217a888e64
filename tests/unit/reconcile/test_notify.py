import socket
from pathlib import Path

import pytest

from uuidfs.reconcile import log, notify


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_gets_one_datagram(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    name = f"{tmp_path}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:] if abstract else name)
        notify.notify(READY="1", STATUS="3 domains,\n0 pending")
        assert manager.recv(4096) == b"READY=1\nSTATUS=3 domains, 0 pending"
        notify.reloading()
        assert manager.recv(4096).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        notify.stopping()
        assert manager.recv(4096) == b"STOPPING=1"


@pytest.mark.parametrize("path", ["", "relative", "/nowhere/at/all", "@nobody"])
def test_without_a_reader_nothing_happens(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    notify.notify(READY="1")


def test_a_log_line_can_be_taken_apart() -> None:
    fields: dict[str, object] = {"name": "two words", "uuid": "", "action": "fold", "files": 3}
    assert log.line("3 files\nof them", fields) == (
        'name="two words" action=fold files=3 3 files of them'
    )
    assert log.line("m", {"name": 'a"b\\c'}) == 'name="a\\"b\\\\c" m'
    assert log.line("m", {"name": "a\nb"}).splitlines() == ['name="a\\\\nb" m']


def test_stderr_gets_the_lines(capfd: pytest.CaptureFixture[str]) -> None:
    log.info("done", name="web")
    log.warning("failed", name="db")
    assert capfd.readouterr() == ("", "uuidfs: name=web done\nuuidfs: name=db failed\n")
