"""virtlogd appends and rolls over at full speed while uuidfs converts (promises P1 and P2).

A plain host is the measure: the same lines are rolled over in a directory that uuidfs never
sees, and in the end each name has to give the same bytes in both.
"""

import os
import time
from pathlib import Path

from tests.race.test_rewrite import SECONDS, converting
from tests.race.workers import Figures, examples, line, race, repeat, total
from tests.support.libvirt import virtlogd_rollover
from tests.support.trees import Host, build, sample

NAME = "vm0000"
BACKUPS = 3
LINES = 50  # per rollover


def test_rolled_logs_hold_what_they_hold_on_a_plain_host(tmp_path: Path) -> None:
    tree = build(tmp_path / "root", sample(1))
    plain = build(tmp_path / "plain", sample(1)).host
    action = converting(tree.host)
    figures = race(
        SECONDS,
        lambda until: keep_logging((tree.host, plain), until),
        lambda until: repeat(action, until),
    )
    print("\n" + line("rollover", figures))
    assert total(figures, "rollovers") > 50
    assert total(figures, "runs") > 5
    assert total(figures, "failed") == 0, examples(figures, "failed")
    assert action() is None
    assert contents(tree.host) == contents(plain)
    assert all(path.is_symlink() for path in tree.host.log.glob(f"{NAME}.log*"))


def keep_logging(hosts: tuple[Host, Host], until: float) -> Figures:
    """One virtlogd for both hosts: it holds the log open, as the real one does."""
    figures = Figures("virtlogd")
    fds = [_opened(host) for host in hosts]
    while time.monotonic() < until:
        figures.last += 1
        for index, host in enumerate(hosts):
            os.write(fds[index], b"line %d\n" % figures.last)
            if figures.last % LINES == 0:
                os.close(fds[index])
                virtlogd_rollover(host, NAME, b"", backups=BACKUPS)
                fds[index] = _opened(host)
        if figures.last % LINES == 0:
            figures.note("rollovers")
            time.sleep(0.002)  # a rollover takes 2 MiB of output in reality
    return figures


def _opened(host: Host) -> int:
    return os.open(host.log_of(NAME), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def contents(host: Host) -> dict[str, bytes]:
    """All logs of the domain, by name; what cannot be opened shows as such."""
    return {
        path.name: path.read_bytes() if path.exists() else b"(does not open)"
        for path in host.log.iterdir()
        if path.name.startswith(f"{NAME}.log")
    }
