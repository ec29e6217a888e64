"""Whose a file is, and what is noted of it, on real files."""

import os
from pathlib import Path

import pytest

from tests.unit.firmware.host import Firm, own, uuid
from uuidfs.files.directory import existing
from uuidfs.firmware import kept
from uuidfs.firmware.names import Firmware, place_of
from uuidfs.firmware.plan import Mode, Op, plan_convert, plan_revert
from uuidfs.firmware.run import FirmwareOptions, convert_firmware

A, B = "alpha_VARS.fd", "beta_VARS.fd"
ALL = FirmwareOptions(Mode.ALL, lock_timeout=0.0)


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return Firm(tmp_path / "host")


def steps(firm: Firm, number: int, mode: Mode = Mode.RENAMED) -> list[tuple[Op, str]]:
    plan = plan_convert(firm.view(number), mode)
    assert plan.problem is None
    return [(step.op, step.entry) for step in plan.steps]


def test_what_one_domain_uses_alone_is_noted(firm: Firm) -> None:
    firm.plain("alpha", 1, A)
    firm.write(A, "of alpha")
    assert convert_firmware(firm.layout, ALL).waiting == ("alpha",)  # no daemon
    assert firm.noted(1) == "of alpha"
    assert oct((firm.kept / uuid(1)).stat().st_mode & 0o777) == "0o700"
    assert oct(firm.kept.stat().st_mode & 0o777) == "0o700"
    assert firm.names() == {A: "of alpha"}


def test_what_two_domains_name_is_noted_for_neither(firm: Firm) -> None:
    firm.plain("alpha", 1, A)
    firm.plain("beta", 2, A)
    firm.write(A, "whose?")
    convert_firmware(firm.layout, ALL)
    assert (firm.noted(1), firm.noted(2)) == (None, None)


def test_a_dry_run_notes_nothing(firm: Firm) -> None:
    firm.plain("alpha", 1, A)
    firm.write(A, "of alpha")
    convert_firmware(firm.layout, ALL._replace(dry_run=True))
    assert not firm.kept.exists()


def test_after_a_reset_the_new_file_is_noted(firm: Firm) -> None:
    firm.plain("alpha", 1, A)
    firm.write(A, "old")
    convert_firmware(firm.layout, ALL)
    (firm.nvram / A).unlink()
    firm.write(A, "new")
    convert_firmware(firm.layout, ALL)
    assert firm.noted(1) == "new"


def test_what_an_undefined_domain_has_left_becomes_the_new_ones(firm: Firm) -> None:
    """It follows the new one, and the old one is forgotten."""
    firm.write(A, "left")
    firm.note(1, A)
    firm.plain("alpha", 2, A)
    convert_firmware(firm.layout, ALL)
    assert (firm.noted(1), firm.noted(2)) == (None, "left")
    firm.plain("beta", 2, A)
    (firm.host.config / "alpha.xml").unlink()
    assert steps(firm, 2) == [(Op.LINK, A), (Op.DEFINE, A), (Op.REMOVE, A)]


def test_what_was_left_is_followed_before_it_is_noted(firm: Firm) -> None:
    """The first run comes after the rename only."""
    firm.write(A, "left")
    firm.note(1, A)
    firm.plain("beta", 2, A)
    assert steps(firm, 2) == [(Op.LINK, A), (Op.DEFINE, A), (Op.REMOVE, A)]


def test_a_file_with_a_name_elsewhere_is_not_noted(firm: Firm, tmp_path: Path) -> None:
    """QEMU's user can link to what is no firmware."""
    firm.plain("alpha", 1, A)
    (tmp_path / "disk").write_text("of another domain")
    os.link(tmp_path / "disk", firm.nvram / A)
    convert_firmware(firm.layout, ALL)
    assert firm.noted(1) is None


@pytest.mark.parametrize("entry", [B, None])
def test_a_renamed_domain_has_its_own_file_whatever_lies_at_the_new_name(
    firm: Firm, entry: str | None
) -> None:
    firm.converted("alpha", 1, A)
    firm.write(A, "of alpha")
    firm.note(1, A)
    firm.renamed("beta", 1, entry)
    firm.write(B, "left by an older beta")
    convert_firmware(firm.layout, ALL)
    assert firm.noted(1) == "of alpha"
    assert steps(firm, 1) == [(Op.LINK, A), (Op.DEFINE, A), (Op.REMOVE, A)]


def test_a_name_that_is_made_of_a_uuid_does_not_overrule_a_note(firm: Firm) -> None:
    """QEMU's user has given the file such a name."""
    firm.converted("alpha", 1, own(1))
    firm.converted("beta", 2, own(2))
    firm.write(own(1), "of alpha")
    firm.note(1, own(1))
    (firm.nvram / own(1)).rename(firm.nvram / own(2))
    assert steps(firm, 1)[0] == (Op.LINK, own(2))
    convert_firmware(firm.layout, ALL)
    assert (firm.noted(1), firm.noted(2)) == ("of alpha", None)


def test_the_lock_of_another_process_keeps_the_note_for_later(firm: Firm) -> None:
    from uuidfs.runtime.domain_locks import Locks

    firm.plain("alpha", 1, A)
    firm.write(A, "of alpha")
    with Locks(firm.layout, 0.0).hold(uuid(1)):
        convert_firmware(firm.layout, ALL)
    assert firm.noted(1) is None


def test_a_directory_that_is_a_link_is_told_for_each_domain(firm: Firm) -> None:
    firm.plain("alpha", 1, A)
    firm.nvram.rename(firm.nvram.with_name("elsewhere"))
    firm.nvram.symlink_to("elsewhere")
    (one,) = convert_firmware(firm.layout, ALL).domains
    assert (one.name, one.uuid) == ("alpha", uuid(1))
    assert "no symlink" in str(one.error)


def test_revert_refuses_the_path_of_another_domain(firm: Firm) -> None:
    firm.converted("alpha", 1, own(1))
    firm.write(own(1), "of alpha")
    firm.plain("beta", 2, A)
    problem = plan_revert(firm.view(1)).problem
    assert problem is not None
    assert "is the path of 'beta'" in problem


def test_links_that_are_a_last_name_stay_at_a_revert(firm: Firm) -> None:
    for number, entry in ((1, A), (2, B)):
        firm.write(entry, entry)
        firm.note(number, entry)
    (firm.nvram / A).unlink()
    assert kept.drop_all(firm.layout) == (f"{firm.kept}/{uuid(1)}/nvram",)
    assert (firm.noted(1), firm.noted(2)) == (A, None)


@pytest.mark.parametrize("left", ["nvram~new", kept.GONE])
def test_what_a_kill_has_left_goes(firm: Firm, left: str) -> None:
    firm.write(A, "of alpha")
    firm.note(1, A)
    (firm.kept / uuid(1) / left).write_text("")
    firm.note(1, A)
    assert os.listdir(firm.kept / uuid(1)) == ["nvram"]


def test_a_directory_of_ours_that_others_may_write_to_is_refused(firm: Firm) -> None:
    firm.write(A, "of alpha")
    firm.note(1, A)
    (firm.kept / uuid(1)).chmod(0o777)
    with existing(place_of(firm.layout, Firmware.NVRAM)) as directory:
        found = directory.look(A)
        assert found is not None
        with pytest.raises(Exception, match="others may write"):
            kept.keep(firm.layout, uuid(1), Firmware.NVRAM, directory, A, found)


def test_a_definition_that_says_an_interim_name_is_changed(firm: Firm) -> None:
    """alpha was renamed, defined anew under that name, and renamed back."""
    firm.write(A, "of alpha")
    firm.note(1, A)
    firm.plain("alpha", 1, B)
    assert steps(firm, 1) == [(Op.LINK, A), (Op.DEFINE, A), (Op.REMOVE, A)]
