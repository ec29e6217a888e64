"""Trips that begin at once, in threads of one process, agree on this boot's migration UUID."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uuidfs.layout.connections import system
from uuidfs.runtime import peer_uuids

THREADS = 8


def test_threads_that_ask_at_once_get_one_uuid(tmp_path: Path) -> None:
    together = threading.Barrier(THREADS)

    def ask(number: int) -> str:
        together.wait()
        return peer_uuids.make_migration_uuid(system(str(tmp_path / str(number))))

    with ThreadPoolExecutor(THREADS) as pool:
        for boot in range(20):
            (tmp_path / str(boot)).mkdir()
            assert len(set(pool.map(ask, [boot] * THREADS))) == 1
