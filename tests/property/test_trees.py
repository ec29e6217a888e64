"""Any tree, and any sequence of libvirt's own changes to it, with uuidfs in between."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.libvirt import Libvirtd, Steps, finish, virtlogd_rollover
from tests.support.trees import (
    Domain,
    Host,
    awkward_names,
    build,
    uuid_for,
)
from tests.support.truth import broken_promises, facts, fingerprint, lost
from uuidfs.check import check
from uuidfs.convert.results import Options, RunResult
from uuidfs.convert.run import convert, revert
from uuidfs.errors import EXIT_OK
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.connections import system
from uuidfs.plan.convert import plan_convert
from uuidfs.runtime.domain_locks import Locks
from uuidfs.survey.identity_lxml import read_lxml
from uuidfs.survey.scanner import scan_all
from uuidfs.survey.surveyor import Surveyor
from uuidfs.survey.up_to_date import is_up_to_date

COMMON = settings(
    max_examples=int(os.environ.get("UUIDFS_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

SHORT_NAMES = [name for name in awkward_names() if len(os.fsencode(name)) <= 200]
SNAPS = ("s1", "before upgrade", "ünï", "s" * 240)


@st.composite
def domains(draw: st.DrawFn) -> tuple[Domain, ...]:
    """One to four domains with any of the kinds of files."""
    names = draw(
        st.lists(
            st.sampled_from(SHORT_NAMES)
            | st.text(
                st.characters(
                    blacklist_characters="/\0\r",
                    blacklist_categories=["Cs"],
                    max_codepoint=0xFFFD,
                    min_codepoint=9,
                ),
                min_size=1,
                max_size=20,
            ).filter(lambda n: n not in {".", ".."} and len(n.encode()) <= 200 and _xml(n)),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    return tuple(
        Domain(
            name,
            uuid_for(f"{number}"),
            transient=(transient := bool(number) and draw(st.booleans())),
            autostart=not transient and draw(st.booleans()),
            log_suffixes=tuple(
                draw(
                    st.lists(
                        st.sampled_from(["", ".0", ".1", ".2", ".1.gz", "-20260101"]), unique=True
                    )
                )
            ),
            snapshots=tuple(draw(st.lists(st.sampled_from(SNAPS), unique=True, max_size=3))),
            checkpoints=tuple(draw(st.lists(st.sampled_from(SNAPS), unique=True, max_size=2))),
        )
        for number, name in enumerate(names)
    )


def _xml(name: str) -> bool:
    """Whether a name can stand in an XML document at all."""
    return all(c in "\t\n" or ord(c) >= 32 for c in name)


@contextmanager
def tree(of: tuple[Domain, ...]) -> Iterator[Host]:
    base = Path(tempfile.mkdtemp(prefix="uuidfs-property-"))
    try:
        yield build(base, of).host
    finally:
        shutil.rmtree(base)


def run(action: Callable[..., RunResult], host: Host) -> RunResult:
    result = action(system(os.fspath(host.root)), Options())
    assert result.exit_code == EXIT_OK, result
    return result


def bindings(of: tuple[Domain, ...]) -> dict[str, str]:
    return {domain.name: domain.uuid for domain in of}


@COMMON
@given(domains())
def test_convert_moves_everything_and_nothing_else(of: tuple[Domain, ...]) -> None:
    with tree(of) as host:
        truth = facts(host)
        run(convert, host)
        assert broken_promises(host, truth, bindings(of)) == []
        assert check(system(os.fspath(host.root))).findings == ()


@COMMON
@given(domains())
def test_a_second_convert_changes_nothing_not_even_a_ctime(of: tuple[Domain, ...]) -> None:
    with tree(of) as host:
        run(convert, host)
        before = fingerprint(host.root, ctime=True)
        again = run(convert, host)
        assert [d.done for d in again.domains if d.done] == []
        assert fingerprint(host.root, ctime=True) == before


@COMMON
@given(domains())
def test_convert_and_revert_are_the_identity(of: tuple[Domain, ...]) -> None:
    with tree(of) as host:
        before = fingerprint(host.root)
        run(convert, host)
        run(revert, host)
        assert fingerprint(host.root) == before


@COMMON
@given(domains())
def test_a_dry_run_changes_nothing_and_says_what_the_run_then_does(of: tuple[Domain, ...]) -> None:
    with tree(of) as host:
        layout = system(os.fspath(host.root))
        for action in (convert, revert):
            before = fingerprint(host.root, ctime=True)
            dry = action(layout, Options(dry_run=True))
            assert fingerprint(host.root, ctime=True) == before
            wet = action(layout, Options())
            assert [(d.uuid, d.done) for d in dry.domains] == [
                (d.uuid, d.done) for d in wet.domains
            ]


def move(libvirtd: Libvirtd, what: str, number: int) -> None:
    """Something that libvirt, virtlogd, virsh or uuidfs does; ``number`` chooses to what."""
    host, names = libvirtd.host, sorted(libvirtd.domains)
    name = names[number % len(names)] if names else None
    new = f"renamed{number % 3}"
    if what == "convert":
        run(convert, host)
    elif what == "revert":
        run(revert, host)
    elif what == "define":
        if new not in libvirtd.domains:
            finish(libvirtd.define(new, uuid_for(f"new {libvirtd.writes} {number}")))
    elif name is None:
        return
    elif what == "rename":
        if new not in libvirtd.domains:
            finish(libvirtd.rename(name, new, misfile=number % 2 == 0))
    elif what == "snapshot":
        finish(libvirtd.snapshot(name, f"s{number % 3}"))
    elif what == "snapshot_delete":
        for snapshot in sorted(libvirtd.domains[name].snapshots)[:1]:
            finish(libvirtd.snapshot_delete(name, snapshot))
    elif what == "rollover":
        if host.log_of(name).exists():
            libvirtd.writes += 1
            line = f"{libvirtd.domains[name].uuid} {libvirtd.writes}\n".encode()
            for _ in range(1 + number % 3):
                virtlogd_rollover(host, name, line)
    else:
        operation: Callable[[str], Steps] = getattr(libvirtd, what)
        finish(operation(name))


MOVES = st.tuples(
    st.sampled_from(
        (
            "save",
            "rename",
            "define",
            "undefine",
            "snapshot",
            "snapshot_delete",
            "rollover",
            "remove_logs",
            "convert",
            "revert",
        )
    ),
    st.integers(0, 11),
)


@COMMON
@given(domains(), st.lists(MOVES, max_size=14))
def test_whatever_libvirt_does_a_convert_brings_the_layout_back(
    of: tuple[Domain, ...], moves: list[tuple[str, int]]
) -> None:
    with tree(of) as host:
        libvirtd = Libvirtd(host)
        run(convert, host)
        for what, number in moves:
            move(libvirtd, what, number)
        configs = {name: host.config_of(name).read_bytes() for name in libvirtd.domains}
        snaps = {
            path: path.read_bytes()
            for name in libvirtd.domains
            for path in (host.snapshot / name).glob("*.xml")
            if b"<domainsnapshot" in path.read_bytes()
        }
        run(convert, host)
        assert {name: host.config_of(name).read_bytes() for name in libvirtd.domains} == configs
        assert {path: path.read_bytes() for path in snaps} == snaps
        assert {name: os.readlink(host.config_of(name)) for name in libvirtd.domains} == {
            name: f"by-uuid/{known.uuid}.xml" for name, known in libvirtd.domains.items()
        }
        assert check(system(os.fspath(host.root))).findings == ()
        for path in host.log.glob("*.log*"):
            if path.is_symlink() and (
                owner := libvirtd.domains.get(path.name.rpartition(".log")[0])
            ):
                assert owner.uuid in os.readlink(path), "two domains share a log"
        assert [d.done for d in run(convert, host).domains if d.done] == []
        run(revert, host)
        assert {name: host.config_of(name).read_bytes() for name in libvirtd.domains} == configs


@COMMON
@given(
    domains(),
    st.sampled_from([convert, revert]),
    st.lists(MOVES, max_size=8),
)
def test_what_another_run_did_while_this_one_waited_for_a_lock(
    of: tuple[Domain, ...], action: Callable[..., RunResult], moves: list[tuple[str, int]]
) -> None:
    """What the first look found is then out of date: stores that were missing are there."""
    with tree(of) as host, pytest.MonkeyPatch.context() as patch:
        libvirtd = Libvirtd(host)
        if action is revert:
            run(convert, host)
        hold = Locks.hold
        written: dict[str, bytes] = {}

        def waited(locks: Locks, uuid: str) -> AbstractContextManager[None]:
            patch.undo()
            for what, number in moves:
                move(libvirtd, what, number)
            run(convert, host)
            written.update({name: host.config_of(name).read_bytes() for name in libvirtd.domains})
            return hold(locks, uuid)

        patch.setattr(Locks, "hold", waited)
        run(action, host)
        assert {name: host.config_of(name).read_bytes() for name in written} == written
        run(convert, host)
        assert {name: host.config_of(name).read_bytes() for name in written} == written
        assert check(system(os.fspath(host.root))).findings == ()


@COMMON
@given(domains(), st.lists(MOVES, max_size=8))
def test_a_plan_is_deterministic_and_tidy_means_that_it_is_empty(
    of: tuple[Domain, ...], moves: list[tuple[str, int]]
) -> None:
    with tree(of) as host:
        libvirtd = Libvirtd(host)
        for what, number in moves:
            move(libvirtd, what, number)
        layout = system(os.fspath(host.root))
        with TrustedDirs(layout) as dirs:
            surveyor = Surveyor(dirs, read_lxml)
            scan = scan_all(surveyor.documents)
            for uuid in scan.uuids():
                plans = [plan_convert(layout, surveyor.view(scan, uuid)) for _ in range(2)]
                assert plans[0] == plans[1]
                if is_up_to_date(dirs, scan, uuid):
                    assert plans[0].steps == ()
                    assert plans[0].problems == ()


@COMMON
@given(domains(), st.lists(MOVES, max_size=8))
def test_no_rotation_of_a_log_is_ever_lost_or_out_of_order(
    of: tuple[Domain, ...], moves: list[tuple[str, int]]
) -> None:
    with tree(of) as host:
        libvirtd = Libvirtd(host)
        for what, number in moves:
            move(libvirtd, what, number)
        truth = {
            rel: fact
            for rel, fact in facts(host).items()
            if rel.startswith("var/log/")
            and os.path.basename(rel).split(".log")[0] in libvirtd.domains
        }
        run(convert, host)
        moved = {rel for rel in truth if lost(host, {rel: truth[rel]})}
        # A name that was another domain's loses its link to a stranger's log, nothing else.
        for rel in moved:
            owner = libvirtd.domains[os.path.basename(rel).split(".log")[0]].uuid
            path = host.root / rel
            assert not path.is_symlink() or owner in os.readlink(path)
            assert not truth[rel].data.startswith(owner.encode())
