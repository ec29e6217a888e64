"""check: what a new domain would share or inherit by its name."""

from pathlib import Path

import pytest

from tests.unit.firmware.host import SAID, Firm, own, uuid
from uuidfs.check import check

A, B = "alpha_VARS.fd", "beta_VARS.fd"


@pytest.fixture
def firm(tmp_path: Path) -> Firm:
    return Firm(tmp_path / "host")


def told(firm: Firm) -> tuple[list[str], list[str]]:
    """Paths of findings and of notices, all with advice."""
    result = check(firm.layout)
    inherited = [f for f in result.findings if f.promise == "name"]
    assert all(f.advice and f.problem for f in (*inherited, *result.notices))
    return [f.path for f in inherited], [f.path for f in result.notices]


def test_everything_in_order_says_nothing(firm: Firm) -> None:
    firm.converted("alpha", 1, A)
    firm.converted("beta", 2, own(2))
    firm.converted("gamma", 3, None)
    for entry in (A, own(2), "gamma_VARS.fd"):
        firm.write(entry, "variables")
    assert told(firm) == ([], [])


@pytest.mark.parametrize("entry", [A, None])
def test_two_definitions_with_one_path(firm: Firm, entry: str | None) -> None:
    firm.converted("alpha", 1, entry)
    firm.converted("beta", 2, A)
    assert told(firm) == ([f"{SAID}/{A}"] * 2, [])


def test_a_path_of_a_name_that_no_domain_has(firm: Firm) -> None:
    firm.converted("beta", 1, A)
    firm.write(A, "of beta")
    assert told(firm) == ([], [f"{SAID}/{A}"])


def test_a_path_of_a_name_that_another_domain_has(firm: Firm) -> None:
    firm.converted("beta", 1, A)
    firm.converted("alpha", 2, own(2))
    assert told(firm) == ([f"{SAID}/{A}"], [])


@pytest.mark.parametrize("entry", [A, own(9), "alpha_VARS.ms.fd", "alpha_PSTORE.raw"])
def test_a_file_of_no_domain(firm: Firm, entry: str) -> None:
    firm.converted("beta", 1, B)
    firm.write(entry, "left")
    assert told(firm) == ([], [str(firm.nvram / entry)])


@pytest.mark.parametrize("entry", ["mine.fd", "alpha_VARS.fd.bak", own(1)])
def test_other_files_are_somebodys(firm: Firm, entry: str) -> None:
    firm.converted("beta", 1, B)
    firm.write(entry, "kept")
    assert told(firm) == ([], [])


def test_a_second_name_of_a_file_in_use_is_no_orphan(firm: Firm) -> None:
    firm.converted("beta", 1, own(1))
    firm.write(own(1), "of beta")
    (firm.nvram / A).hardlink_to(firm.nvram / own(1))
    assert told(firm) == ([], [])


def test_a_file_is_no_orphan_while_a_definition_cannot_be_read(firm: Firm) -> None:
    firm.write(A, "whose?")
    firm.host.config_of("beta").write_text("<domain>")
    assert told(firm)[1] == []


def test_a_tpms_state_and_a_start_of_no_domain(firm: Firm) -> None:
    states = firm.root / "var/lib/libvirt/swtpm"
    for number in (1, 9):
        (states / uuid(number)).mkdir(parents=True)
    firm.converted("alpha", 1, A)
    firm.host.autostart.mkdir()
    for name in ("alpha", "gone"):
        (firm.host.autostart / f"{name}.xml.once").symlink_to(f"../{name}.xml")
    once = firm.host.autostart / "gone.xml.once"
    assert told(firm) == ([], [str(states / uuid(9)), str(once)])


def test_a_directory_that_cannot_be_looked_into_is_a_finding(firm: Firm) -> None:
    firm.converted("alpha", 1, A)
    firm.nvram.rmdir()
    firm.nvram.symlink_to("/")
    assert told(firm) == ([str(firm.nvram)], [])
