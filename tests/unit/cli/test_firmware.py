"""convert and revert with --kind nvram, where no daemon is."""

from pathlib import Path

import pytest

from tests.support.process import uuidfs
from tests.unit.firmware.host import Firm, own


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return Firm(tmp_path / "host")


@pytest.mark.parametrize("action", ["convert", "revert"])
@pytest.mark.parametrize("kind", ["nope", "NVRAM", "nvram,config", "pstore", ""])
def test_a_kind_that_there_is_not_is_named_with_those_there_are(
    firm: Firm, action: str, kind: str
) -> None:
    done = uuidfs(firm.root, action, "--all", "--kind", kind)
    assert done.code == 2
    assert f"--kind {kind}: there is no such kind" in done.err.replace("\n", " ")
    assert "config, log, snapshot, checkpoint, nvram" in done.err


@pytest.mark.parametrize("action", ["convert", "revert"])
def test_with_something_to_do_and_no_daemon_it_fails_and_says_so(firm: Firm, action: str) -> None:
    entry = "alpha_VARS.fd" if action == "convert" else own(1)
    firm.plain("alpha", 1, entry)
    firm.write(entry, "of alpha")
    done = uuidfs(firm.root, action, "--all", "--kind", "nvram")
    assert (done.code, done.traceback) == (1, False)
    assert "libvirt does not run here" in done.err
    assert firm.names() == {entry: "of alpha"}


@pytest.mark.parametrize("action", ["convert", "revert"])
def test_with_nothing_to_do_no_daemon_is_needed(firm: Firm, action: str) -> None:
    firm.plain("alpha", 1, own(1) if action == "convert" else "alpha_VARS.fd")
    done = uuidfs(firm.root, action, "--all", "--kind", "nvram")
    assert (done.code, done.err) == (0, "")


def test_a_dry_run_says_what_would_be_done(firm: Firm) -> None:
    firm.plain("alpha", 1, "alpha_VARS.fd")
    firm.write("alpha_VARS.fd", "of alpha")
    done = uuidfs(firm.root, "convert", "--all", "--kind", "nvram", "--dry-run")
    assert done.code == 0
    assert f"give {firm.nvram}/alpha_VARS.fd the name {own(1)}" in done.out
    assert not firm.kept.exists()


def test_a_hostile_directory_does_not_keep_the_configs(firm: Firm) -> None:
    firm.plain("alpha", 1, "alpha_VARS.fd")
    firm.nvram.rename(firm.nvram.with_name("away"))
    firm.nvram.symlink_to("away")
    done = uuidfs(firm.root, "convert", "--all")
    assert done.code == 1
    assert "no symlink" in done.err
    assert firm.host.config_of("alpha").is_symlink()
