"""Work that is spread over processes: each item once, and nobody outlives the run."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.process import wait_for
from uuidfs import workers


def test_small_runs_stay_in_one_process() -> None:
    assert [workers.size(items, 8) for items in (0, 1, 63, 64, 1000)] == [1, 1, 1, 2, 4]
    assert workers.size(10_000, 1) == 1


def test_every_item_is_worked_on_once_and_results_come_with_their_items() -> None:
    def work(part: Sequence[str]) -> tuple[int, list[str]]:
        return os.getpid(), [item.upper() for item in part]

    done = workers.spread([f"x{n}" for n in range(10)], work, 3)
    assert sorted(item for part, _ in done for item in part) == sorted(f"x{n}" for n in range(10))
    assert len({result[0] for _, result in done if result is not None}) == 3
    for part, result in done:
        assert result is not None
        assert result[1] == [item.upper() for item in part]


@pytest.mark.parametrize("end", ["killed", "raised"])
def test_a_process_without_a_result_is_told_of(end: str) -> None:
    parent = os.getpid()

    def work(part: Sequence[str]) -> str:
        if os.getpid() != parent:
            if end == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError(part)
        return "done"

    assert workers.spread(["a", "b"], work, 2) == [(["a"], "done"), (["b"], None)]


def test_an_exception_here_ends_the_others_too(tmp_path: Path) -> None:
    parent, child = os.getpid(), tmp_path / "child"

    def work(part: Sequence[str]) -> None:
        if os.getpid() == parent:
            wait_for(child.exists, "the other one is at work")
            raise KeyboardInterrupt
        (tmp_path / "new").write_text(str(os.getpid()))
        (tmp_path / "new").rename(child)
        time.sleep(600)

    with pytest.raises(KeyboardInterrupt):
        workers.spread(["a", "b"], work, 2)
    with pytest.raises(ProcessLookupError):
        os.kill(int(child.read_text()), 0)
