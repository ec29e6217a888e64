"""What is set aside on disk, by trips that begin and end at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uuidfs.layout.connections import system
from uuidfs.localmigration import set_aside

TRIPS = 4

ROUNDS = 500


def test_trips_that_begin_and_end_at_once_do_not_take_each_others_directory(tmp_path: Path) -> None:
    layout = system(str(tmp_path))
    (tmp_path / "var/lib/libvirt/by-uuid").mkdir(parents=True)
    together = threading.Barrier(TRIPS)

    def trip(number: int) -> None:
        uuid = f"00000000-0000-4000-8000-{number:012d}"
        together.wait()
        for turn in range(ROUNDS):
            aside = set_aside.SetAside(f"guest{number}", snapshots=(str(turn),))
            set_aside.keep(layout, uuid, aside)
            back = set_aside.kept(layout, uuid)
            assert back is not None
            assert list(back.snapshots) == [str(turn)]
            set_aside.drop(layout, uuid)

    with ThreadPoolExecutor(TRIPS) as pool:
        assert list(pool.map(trip, range(TRIPS))) == [None] * TRIPS
    assert not (tmp_path / "var/lib/libvirt/by-uuid/aside").exists()
