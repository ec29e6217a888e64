"""Defects that are put back are found: each of them makes the explorer fail."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from tests.exhaustion.explorer import Explorer
from tests.exhaustion.scenarios import Scenario
from tests.exhaustion.state import Bound
from uuidfs.apply import refile, swap, take, trashing
from uuidfs.convert.rivals import Rivals
from uuidfs.files import change
from uuidfs.files.directory import Directory
from uuidfs.files.entry import Entry
from uuidfs.plan import revert as plan_revert
from uuidfs.plan.steps import Op
from uuidfs.runtime.domain_locks import Locks
from uuidfs.runtime.known_checkpoints import KnownCheckpoints
from uuidfs.survey.metadata import MetadataView
from uuidfs.survey.stamp import Stamp

PutBack = Callable[[pytest.MonkeyPatch], None]


def _gives_back_once(patch: pytest.MonkeyPatch) -> None:
    def give_back(names: Directory, entry: str, store: Directory, held: str, placed: Entry) -> None:
        change.exchange(store, held, names, entry)

    patch.setattr(take, "give_back", give_back)


def _looks_and_unlinks_by_name(patch: pytest.MonkeyPatch) -> None:
    def take_off(*arguments: Any) -> bool:
        names, entry = arguments[:2]
        change.unlink(names, entry)
        return True

    for module in (take, trashing, refile):
        patch.setattr(module, "take_off", take_off)


def _trusts_every_deletion(patch: pytest.MonkeyPatch) -> None:
    always = property(lambda self: True, lambda self, value: None)
    patch.setattr(MetadataView, "is_proven", always, raising=False)


def _swaps_and_does_not_compare(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(swap, "_check_newer", lambda job, got: None)


def _renames_over_names(patch: pytest.MonkeyPatch) -> None:
    def exchange(*arguments: Any) -> None:
        raise change.NoExchangeError

    patch.setattr(change, "exchange", exchange)


def _ignores_why_not(patch: pytest.MonkeyPatch) -> None:
    real = plan_revert._unfold
    patch.setattr(
        plan_revert, "_unfold", lambda draft, pair: real(draft, pair._replace(why_not=None))
    )


def _leaves_dangling_links(patch: pytest.MonkeyPatch) -> None:
    real = plan_revert._unfold_log

    def unfold_log(draft: Any, log: Any, stored: Any) -> None:
        before = len(draft.steps)
        real(draft, log, stored)
        draft.steps[before:] = [s for s in draft.steps[before:] if s.op is not Op.DROP_LINK]

    patch.setattr(plan_revert, "_unfold_log", unfold_log)


def _takes_no_lock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Locks, "hold", lambda self, uuid: nullcontext())


def _finishes_any_rename(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rivals, "check", lambda self, winner, loser: None)


def _asks_nobody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(KnownCheckpoints, "has", lambda self, entry, written: True)


def _relies_on_an_old_scan(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Stamp, "is_current", lambda self, dirs: True)


CASES: dict[str, tuple[PutBack, Scenario]] = {
    "give_back exchanges once": (
        _gives_back_once,
        Scenario("converted", "save twice", ("revert",), "l"),
    ),
    "a name is looked at and unlinked": (
        _looks_and_unlinks_by_name,
        Scenario("converted", "rename and snapshot", ("convert",), "c"),
    ),
    "a deletion needs no proof": (
        _trusts_every_deletion,
        Scenario("converted", "away", ("convert",), "s"),
    ),
    "a swap is not compared": (
        _swaps_and_does_not_compare,
        Scenario("plain", "redefine", ("convert",), ""),
    ),
    "a link is renamed over a name": (
        _renames_over_names,
        Scenario("converted", "save twice", ("convert",), "l"),
    ),
    "revert puts back what is somebody else's": (
        _ignores_why_not,
        Scenario("two converted", "exchange", ("revert",), "s"),
    ),
    "a link without a log survives a revert": (
        _leaves_dangling_links,
        Scenario("cleaned", "nothing", ("revert",), "l"),
    ),
    "a copied config wins over its original": (
        _finishes_any_rename,
        Scenario("converted", "copy", ("repair",), "s", dies_after=1),
    ),
    "a deleted checkpoint is refiled": (
        _asks_nobody,
        Scenario("converted", "rename and checkpoint delete", ("convert",), "c"),
    ),
    "a second scan from before the lock": (
        _relies_on_an_old_scan,
        Scenario("undefined", "define again", ("convert", "convert"), ""),
    ),
    "no lock is taken": (
        _takes_no_lock,
        Scenario("converted", "save", ("convert", "revert"), ""),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_defect_that_is_put_back_is_found(
    case: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_back, scenario = CASES[case]
    bound = Bound(scenario.bursts, faults=0)
    sound = Explorer(scenario, root, bound).explore()
    assert not sound.failures, sound.failures[0]
    put_back(monkeypatch)
    broken = Explorer(scenario, root, bound).explore()
    print(f"{case}: {broken}")
    assert broken.failures
