"""check, convert and revert over hosts with real guests, without a package."""

from pathlib import Path

import pytest

from tests.live.conftest import MakeHost
from tests.live.migration import uuidfs
from tests.package.fleet.hosts import Fleet
from tests.package.fleet.playing import Ansible

pytestmark = pytest.mark.live
CONFIG = "/etc/libvirt/qemu/a.xml"


@pytest.fixture
def fleet(ansible: Ansible, make_host: MakeHost, tmp_path: Path, uuidfs_works: None) -> Fleet:
    """Two hosts: one has the hook and a guest that is not converted, bare has no uuidfs."""
    found = Fleet(ansible, tmp_path)
    found.add("one", make_host())
    found.add("bare", make_host(), program=False)
    for host in found.hosts:
        found.start(host, "a")
    uuidfs(found.hosts["one"], "revert", "--all").ok()
    return found


def links(fleet: Fleet) -> list[bool]:
    """Whether the guest's config is behind a link, on each host."""
    return [host.path(CONFIG).is_symlink() for host in fleet.hosts.values()]


def test_convert_in_check_mode_shows_what_would_be_done(fleet: Fleet) -> None:
    dry = fleet.play("convert", "--check").ok()
    assert links(fleet) == [False, False]
    assert min(dry.changed().values()) > 0
    assert "would convert a:" in dry.text
    assert f"{CONFIG}" in dry.text
    assert "would convert 1 domains" in dry.text

    play = fleet.play("convert", uuidfs_max_fail_percentage=50)
    assert play.failed() == {"one": False, "bare": True}
    assert links(fleet) == [True, False]
    again = fleet.play("convert", "--check", "--limit", "one").ok()
    assert again.changed() == {"one": 0}
    assert "would convert" not in again.text

    dry = fleet.play("revert", "--check", "--limit", "one").ok()
    assert links(fleet) == [True, False]
    assert dry.changed() == {"one": 2}
    assert "The hook would be removed" in dry.text
    assert "would revert a:" in dry.text
    assert fleet.play("revert", "--limit", "one").ok().changed() == {"one": 2}
    assert links(fleet) == [False, False]
    dry = fleet.play("convert", "--check", "--limit", "one").ok()
    assert "The hook would be installed" in dry.text
    assert dry.changed() == {"one": 2}
    assert fleet.play("revert", "--limit", "one").ok().changed() == {"one": 0}


def test_check_fails_on_a_host_without_uuidfs(fleet: Fleet) -> None:
    uuidfs(fleet.hosts["one"], "convert", "--all").ok()
    for words in ((), ("--check",)):
        play = fleet.play("check", *words)
        assert play.code != 0
        assert play.failed() == {"one": False, "bare": True}
        assert "There is no /run/bin/uuidfs on this host" in play.text


def test_check_fails_where_something_is_found(fleet: Fleet) -> None:
    uuidfs(fleet.hosts["one"], "convert", "--all").ok()
    config = fleet.hosts["one"].path(CONFIG)
    config.unlink()
    config.symlink_to("by-uuid/no-such-file.xml")
    for words in ((), ("--check",)):
        play = fleet.play("check", "--limit", "one", *words)
        assert play.failed() == {"one": True}
        assert CONFIG in play.text


def test_a_program_that_does_not_run_is_not_one_that_is_missing(fleet: Fleet) -> None:
    """Else revert would remove the package with all files converted."""
    fleet.hosts["one"].path("/run/bin/uuidfs").write_text("#!/bin/sh\necho broken >&2\nexit 1\n")
    for playbook in ("check", "convert", "revert", "update_qemu"):
        play = fleet.play(playbook, "--limit", "one")
        assert play.failed() == {"one": True}, playbook
        assert "broken" in play.text


@pytest.mark.parametrize("words", [(), ("--check",)])
def test_a_configuration_that_uuidfs_refuses_is_told(fleet: Fleet, words: tuple[str, ...]) -> None:
    play = fleet.play(
        "convert", "--limit", "one", *words, uuidfs_configuration={"trash": {"retention": "never"}}
    )
    assert play.failed() == {"one": True}
    assert "is not a length of time" in play.text
    assert not fleet.hosts["one"].path("/etc/uuidfs/uuidfs.toml").exists()
