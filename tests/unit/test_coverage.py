"""benchmarks/coverage.py, and the table of live tests that it stands on."""

import ast
import json
from pathlib import Path

import pytest
from lxml import etree

from benchmarks import coverage
from tests.live import moved
from tests.support.kinds import kinds

LIVE = Path(moved.__file__).parent

PLAIN = (
    "<disk type='file' device='disk'><target dev='vda' bus='virtio'/></disk>"
    "<interface type='network'><source network='n'/><model type='virtio'/></interface>"
)


def domain(devices: str = PLAIN, *, arch: str = "x86_64", kind: str = "kvm") -> str:
    return (
        f"<domain type='{kind}'><name>a</name><os><type arch='{arch}' machine='q35'>hvm</type></os>"
        f"<devices>{devices}\n</devices>\n</domain>\n"
    )


def test_every_live_test_that_the_table_names_exists() -> None:
    functions: dict[str, set[str]] = {}
    for claim in moved.claims().values():
        file, _, name = claim.partition("::")
        if file not in functions:
            tree = ast.parse((LIVE / file).read_text())
            functions[file] = {
                node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
            }
        assert name.partition("[")[0] in functions[file], claim


def test_every_kind_of_the_sample_domains_that_may_move_is_in_the_table() -> None:
    found = coverage.survey(LIVE.parent / "data/domains")
    assert len(found.judged) >= 19
    assert {
        one.name: one.unproved for one in found.judged if one.unproved and not one.refused
    } == {}


def test_a_kind_that_no_live_test_moved_is_not_counted_as_movable(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(domain() + domain(PLAIN + "<sound model='none-has-this'/>"))
    good, bad = coverage.survey(tmp_path).judged
    assert good.movable
    assert not bad.movable
    assert bad.refused == ()
    assert bad.unproved == ("sound model=none-has-this",)


def test_several_documents_in_a_file_are_several_domains(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(
        "<volume><name>v</name></volume>\n" + domain() + domain(kind="lxc") + domain("<vsock/>")
    )
    (tmp_path / "b.xml").write_text("<domain type='kvm'>\n<broken>\n</domain>\n")
    found = coverage.survey(tmp_path)
    assert [one.file for one in found.judged] == ["a.xml", "a.xml"]
    assert found.others == 1
    assert found.broken[0].startswith("b.xml: ")
    all_of = coverage.figures(found)
    assert (all_of["domains"], all_of["files"], all_of["files_all_movable"]) == (2, 1, 0)


def test_other_architectures_are_counted_apart(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(domain() + domain(arch="sparc") + domain(arch="riscv64"))
    all_of = coverage.figures(coverage.survey(tmp_path))
    assert all_of["movable"] == 3
    assert (all_of["movable_on_x86"], all_of["domains_on_x86"]) == (1, 1)
    assert all_of["movable_by_devices_alone"] == 1


def test_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.xml").write_text(
        domain() + domain("<shmem name='a'/><hostdev mode='subsystem' type='pci'/>")
    )
    assert coverage.main([str(tmp_path), "--at-least", "1"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("1 of 2 domains can move; 1 are refused, and 0 more")
    assert "| 1 | 0 | hostdev: a host device is passed through |" in said
    assert coverage.main([str(tmp_path), "--json", "--at-least", "2"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["movable"] for one in found["judged"]] == [True, False]


def test_a_directory_without_domains_is_no_success(tmp_path: Path) -> None:
    assert coverage.main([str(tmp_path)]) == 2


def test_what_libvirt_would_take_is_part_of_a_kind() -> None:
    text = "<tpm><backend type='emulator'/></tpm><panic/><controller type='usb'/>"
    assert kinds(etree.fromstring(domain(text))) == {
        "machine q35",
        "tpm model=tpm-tis",
        "tpm backend=emulator version=2.0",
        "panic model=isa",
        "controller type=usb model=piix3-uhci",
    }
    other = kinds(etree.fromstring(domain(text, arch="s390x")))
    assert {"panic model=s390", "controller type=usb"} < other, "not what a PC takes"


def test_a_claim_is_only_proved_by_a_guest_that_has_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UUIDFS_MOVED", raising=False)
    test = moved.claims()["sound model=ich9"]
    moved.forget()
    assert "sound model=ich9" in moved.unproved(test)
    moved.note(etree.fromstring(domain("<sound model='ich9'/>")))
    assert "sound model=ich9" not in moved.unproved(test)
    moved.forget()
