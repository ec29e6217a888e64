import builtins
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up
from tests.support.process import reconciler, wait_for
from tests.support.trees import Domain, uuid_for
from uuidfs.errors import SystemCallFailed
from uuidfs.layout.places import Kind
from uuidfs.reconcile import metrics
from uuidfs.reconcile.metrics import Figures
from uuidfs.runtime.reconciler_state import ReconcilerState

FIGURES = Figures(
    ReconcilerState(1, 2.0, passed=3.0, took=0.5),
    {"u1": ["web"], "u2": ['d"\udce9']},
    {"u1": "converted", "u2": "error"},
    {"u1": 7},
    {"u2": 1},
    {Kind.LOG: (2, 4096)},
)


def values(path: Path) -> dict[str, float]:
    """Every sample of a textfile, by name and labels."""
    parser = pytest.importorskip("prometheus_client.parser")
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in parser.text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def test_the_file_can_be_parsed(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    path = tmp_path / "uuidfs.prom"
    metrics.write(str(path), FIGURES)
    found = values(path)
    assert found["uuidfs_up[]"] == 1
    assert found["uuidfs_domains[('state', 'error')]"] == 1
    assert found["uuidfs_folds_total[('uuid', 'u1')]"] == 7
    assert found["uuidfs_domain_info[('name', 'web'), ('uuid', 'u1')]"] == 1
    assert found["uuidfs_trash_bytes[('kind', 'log')]"] == 4096
    assert [entry.name for entry in tmp_path.iterdir()] == ["uuidfs.prom"]


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    with pytest.raises(SystemCallFailed):
        metrics.write(str(tmp_path / "nowhere/uuidfs.prom"), FIGURES)


def test_without_the_library_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **more: Any) -> Any:
        if name.startswith("prometheus_client"):
            raise ImportError(name)
        return real(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(metrics.NoClientError, match="python3-prometheus-client"):
        metrics.write(str(tmp_path / "uuidfs.prom"), FIGURES)


def test_the_reconciler_writes_them(make_tree: Build) -> None:
    pytest.importorskip("prometheus_client")
    web = Domain("web", uuid_for("web"))
    tree = make_tree(web)
    file = tree.host.root / "uuidfs.prom"
    settings = tree.host.root / "etc/uuidfs/uuidfs.toml"
    settings.parent.mkdir()
    settings.write_text(f'[metrics]\ntextfile = "{file}"\n')
    with reconciler(tree.host.root):
        wait_for(file.exists, "the file")
        found = values(file)
        assert found[f"uuidfs_domain_info[('name', 'web'), ('uuid', '{web.uuid}')]"] == 1
        assert found[f"uuidfs_folds_total[('uuid', '{web.uuid}')]"] == 4
        libvirt_clean_up(tree.host, "web")
        wait_for(lambda: values(file)["uuidfs_trash_files[('kind', 'config')]"] == 1, "the trash")
