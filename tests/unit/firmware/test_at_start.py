"""The hook's part, on real files: whose file lies at the path just before libvirt opens it."""

from pathlib import Path

import pytest

from tests.unit.firmware.host import Firm, own, uuid, xml
from uuidfs.firmware.at_start import settle

A, B = "alpha_VARS.fd", "beta_VARS.fd"


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return Firm(tmp_path / "host")


def start(firm: Firm, name: str, number: int, entry: str | None) -> tuple[str, ...]:
    return settle(firm.layout, name, uuid(number), xml(name, number, entry))


def beta(firm: Firm, *, noted: bool = True) -> None:
    """beta, which was alpha when uuidfs saw it, with its file under the former name."""
    firm.converted("alpha", 1, A)
    firm.write(A, "of beta")
    if noted:
        firm.note(1, A)
    firm.renamed("beta", 1, A)


def test_a_new_domain_gets_a_new_file(firm: Firm) -> None:
    beta(firm)
    firm.plain("alpha", 2, A)
    said = start(firm, "alpha", 2, A)
    assert firm.names() == {own(1): "of beta"}
    assert len(said) == 1
    assert uuid(1) in said[0]


def test_the_same_where_only_a_name_tells_whose_it_is(firm: Firm) -> None:
    beta(firm, noted=False)
    (firm.nvram / own(1)).hardlink_to(firm.nvram / A)
    start(firm, "alpha", 2, A)
    assert firm.names() == {own(1): "of beta"}


@pytest.mark.parametrize("entry", [A, None])
def test_both_start_in_turn_by_one_path(firm: Firm, entry: str | None) -> None:
    """Nobody has changed the definitions in between."""
    beta(firm)
    firm.converted("alpha", 2, entry)
    for _ in range(2):
        start(firm, "alpha", 2, entry)
        (firm.nvram / A).touch()
        firm.write(A, "of alpha")
        start(firm, "beta", 1, A)
        assert (firm.nvram / A).read_text() == "of beta"
        assert firm.names()[own(2)] == "of alpha"
    start(firm, "alpha", 2, entry)
    assert firm.names()[A] == "of alpha"


def test_a_new_file_of_a_domain_that_never_ran_is_not_its(firm: Firm) -> None:
    """beta was started with --reset-nvram: the file at its path is its own."""
    beta(firm)
    (firm.nvram / A).unlink()
    firm.write(A, "new of beta")
    firm.converted("alpha", 2, A, ran=False)
    assert start(firm, "beta", 1, A) == ()
    assert firm.names() == {A: "new of beta"}


def test_a_definition_from_before_leads_to_the_file(firm: Firm) -> None:
    firm.converted("beta", 1, B)
    firm.write(own(1), "of beta")
    start(firm, "beta", 1, B)
    assert firm.names() == {own(1): "of beta", B: "of beta"}


@pytest.mark.parametrize("entry", [B, None])
def test_a_renamed_domain_finds_its_file_by_any_path(firm: Firm, entry: str | None) -> None:
    beta(firm)
    start(firm, "beta", 1, entry)
    assert firm.names() == {A: "of beta", B: "of beta"}


@pytest.mark.parametrize("entry", [A, B, None])
def test_what_another_domain_has_deleted_comes_back(firm: Firm, entry: str | None) -> None:
    beta(firm)
    (firm.nvram / A).unlink()
    start(firm, "beta", 1, entry)
    assert firm.names() == {entry or B: "of beta"}


@pytest.mark.parametrize("entry", [A, None])
def test_what_a_person_has_removed_does_not_come_back(firm: Firm, entry: str | None) -> None:
    firm.converted("alpha", 1, entry)
    firm.write(A, "of alpha")
    firm.note(1, A)
    (firm.nvram / A).unlink()
    assert start(firm, "alpha", 1, entry) == ()
    assert firm.names() == {}


def test_what_an_undefined_domain_has_left_is_the_new_ones(firm: Firm) -> None:
    firm.write(A, "left")
    firm.note(1, A)
    firm.plain("alpha", 2, A)
    assert start(firm, "alpha", 2, A) == ()
    assert firm.names() == {A: "left"}


def test_what_was_left_at_the_new_name_is_not_a_renamed_domains(firm: Firm) -> None:
    beta(firm)
    firm.write(B, "left")
    firm.note(3, B)
    start(firm, "beta", 1, None)
    assert firm.names() == {A: "of beta", B: "of beta", own(3): "left"}


def test_a_domain_that_is_defined_again_has_left_its_file(firm: Firm) -> None:
    """It was undefined with --keep-nvram, and a new alpha has the file."""
    firm.converted("alpha", 2, A)
    firm.write(A, "of alpha")
    firm.note(1, A)
    firm.note(2, A)
    firm.plain("beta", 1, None)
    assert start(firm, "beta", 1, None) == ()
    assert firm.names() == {A: "of alpha"}


def test_a_strangers_file_under_the_uuid_is_taken_away(firm: Firm) -> None:
    firm.converted("alpha", 1, own(1))
    firm.converted("beta", 2, own(2))
    for number in (1, 2):
        firm.write(own(number), f"of {number}")
        firm.note(number, own(number))
    (firm.nvram / own(2)).rename(firm.nvram / own(1))
    start(firm, "alpha", 1, own(1))
    assert firm.names() == {own(1): "of 1", own(2): "of 2"}


def test_a_copied_definition_is_left_alone(firm: Firm) -> None:
    """check tells that two domains have one file."""
    firm.converted("alpha", 1, own(1))
    firm.write(own(1), "of alpha")
    firm.note(1, own(1))
    firm.plain("copy", 2, own(1))
    assert start(firm, "copy", 2, own(1)) == ()
    assert firm.names() == {own(1): "of alpha"}


@pytest.mark.parametrize("path", ["/srv/alpha_VARS.fd", f"/x/{A}", "nvram"])
def test_a_path_of_somebodys_choice_is_left_alone(firm: Firm, path: str) -> None:
    beta(firm)
    data = xml("alpha", 2, A).replace(b"/var/lib/libvirt/qemu/nvram/" + A.encode(), path.encode())
    assert settle(firm.layout, "alpha", uuid(2), data) == ()
    assert firm.names() == {A: "of beta"}


def test_without_a_directory_there_is_nothing_to_do(firm: Firm) -> None:
    firm.nvram.rmdir()
    assert start(firm, "alpha", 1, A) == ()


@pytest.mark.parametrize("removed", [False, True])
def test_a_file_that_was_moved_away_from_its_uuid_is_found(firm: Firm, removed: bool) -> None:
    """As QEMU's user may have done it; a person who wants a new one removes it."""
    firm.converted("alpha", 1, own(1))
    firm.converted("beta", 2, B)
    firm.write(own(1), "of alpha")
    firm.note(1, own(1))
    if removed:
        (firm.nvram / own(1)).unlink()
    else:
        (firm.nvram / own(1)).rename(firm.nvram / own(2))
    start(firm, "alpha", 1, own(1))
    assert firm.names().get(own(1)) == (None if removed else "of alpha")
