"""Who gets a lock holds what the path leads to, whatever filelock does at release."""

import fcntl
import os
import subprocess
import threading
from pathlib import Path

import filelock
import pytest

from tests.conftest import Build
from tests.support.trees import uuid_for
from uuidfs.errors import Busy
from uuidfs.layout.connections import system
from uuidfs.runtime import domain_locks
from uuidfs.runtime.domain_locks import Locks
from uuidfs.runtime.flock import try_lock

UUID = uuid_for("web")


def test_a_file_that_was_replaced_while_it_was_locked_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    real = fcntl.flock

    def flock(fd: int, operation: int) -> None:
        real(fd, operation)
        if operation & fcntl.LOCK_EX:  # somebody clears /run in this moment
            path.unlink()
            path.touch()

    with monkeypatch.context() as context:
        context.setattr(fcntl, "flock", flock)
        assert try_lock(os.fspath(path)) is None
    held = try_lock(os.fspath(path))
    assert held is not None
    os.close(held)


@pytest.mark.parametrize("version", ["3.20.3", "3.21.0", "3.28.0", "4.2.0"])
def test_a_waiter_gets_the_lock_and_the_file_stays(
    make_tree: Build, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setattr(filelock, "__version__", version)
    layout = system(os.fspath(make_tree().host.root))
    path = f"{layout.locks.path}/{UUID}.lock"
    taken = threading.Event()
    free = threading.Event()

    def hold() -> None:
        with Locks(layout, 0.0).hold(UUID):
            taken.set()
            free.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(30)
    inode = os.stat(path).st_ino
    with pytest.raises(Busy), Locks(layout, 0.2).hold(UUID):
        pass
    threading.Timer(0.2, free.set).start()
    with Locks(layout, 60.0).hold(UUID):
        assert os.stat(path).st_ino == inode
        done = subprocess.run(["flock", "--nonblock", path, "true"], check=False)
        assert done.returncode == 1, "flock(1) sees the lock"
    thread.join()
    assert os.stat(path).st_ino == inode


def test_releases_that_remove_the_file_are_told_from_those_that_do_not() -> None:
    first, last = domain_locks.UNLINKS
    removes = ["3.21.0", "3.25.2", "3.28.0"]
    keeps = ["3.9.0", "3.20.3", "3.29.7", "4.2.0"]
    version = domain_locks._version
    assert all(first <= version(text) < last for text in removes)
    assert not any(first <= version(text) < last for text in keeps)
