import builtins
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Build
from tests.support.libvirt import libvirt_clean_up
from tests.support.process import reconciler, uuidfs, wait_for
from tests.support.trees import Domain, uuid_for
from uuidfs import __version__
from uuidfs.errors import Refused, SystemCallFailed
from uuidfs.layout.places import Kind
from uuidfs.outdated.record import OutdatedRecord
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
    OutdatedRecord(5.0, (("web", 1), ("db", 2)), 1),
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
    assert found[f"uuidfs_build_info[('version', '{__version__}')]"] == 1
    assert found["uuidfs_domains[('state', 'error')]"] == 1
    assert found["uuidfs_domains[('state', 'plain')]"] == 0
    assert found["uuidfs_folds_total[('uuid', 'u1')]"] == 7
    assert found["uuidfs_domain_info[('name', 'web'), ('uuid', 'u1')]"] == 1
    assert found["uuidfs_trash_bytes[('kind', 'log')]"] == 4096
    assert found["uuidfs_outdated_domains[]"] == 2
    assert found["uuidfs_outdated_unknown_domains[]"] == 1
    assert found["uuidfs_outdated_timestamp_seconds[]"] == 5
    assert [entry.name for entry in tmp_path.iterdir()] == ["uuidfs.prom"]


def test_where_nobody_looked_for_outdated_guests_there_is_no_figure(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    path = tmp_path / "uuidfs.prom"
    metrics.write(str(path), FIGURES._replace(outdated=None))
    assert "outdated" not in path.read_text()


def test_what_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    with pytest.raises(Refused, match="there is no such directory"):
        metrics.write(str(tmp_path / "nowhere/uuidfs.prom"), FIGURES)
    (tmp_path / "uuidfs.prom").mkdir()
    with pytest.raises(SystemCallFailed):
        metrics.write(str(tmp_path / "uuidfs.prom"), FIGURES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["uuidfs.prom"]


def test_no_link_is_written_through(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    victim = tmp_path / "web.xml"
    victim.write_text("<domain/>")
    there = tmp_path / "node-exporter"
    there.mkdir()
    librarys = f"uuidfs.prom.{os.getpid()}.{threading.get_ident()}"
    names = ["uuidfs.prom", ".uuidfs.prom.uuidfs", librarys]
    for name in names:
        (there / name).symlink_to(victim)
    metrics.write(str(there / "uuidfs.prom"), FIGURES)
    assert victim.read_text() == "<domain/>"
    assert values(there / "uuidfs.prom")["uuidfs_up[]"] == 1
    assert (there / "uuidfs.prom").stat().st_mode & 0o777 == 0o644, "the exporter reads it"


def test_a_directory_that_somebody_else_can_write_to_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    there = tmp_path / "node-exporter"
    there.mkdir()
    there.chmod(0o775)
    with pytest.raises(Refused, match="others may write"):
        metrics.write(str(there / "uuidfs.prom"), FIGURES)
    there.chmod(0o755)
    (tmp_path / "link").symlink_to(there)
    with pytest.raises(Refused, match="no symlink"):
        metrics.write(str(tmp_path / "link/uuidfs.prom"), FIGURES)
    if os.geteuid() == 0:
        os.chown(there, 12345, 12345)
        with pytest.raises(Refused, match="belongs to uid 12345"):
            metrics.write(str(there / "uuidfs.prom"), FIGURES)
    assert list(there.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a directory of another user: root")
def test_a_directory_of_roots_in_somebody_elses_is_as_debian_has_it(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    above = tmp_path / "prometheus"
    (above / "node-exporter").mkdir(parents=True)
    os.chown(above, 12345, 12345)
    path = above / "node-exporter/uuidfs.prom"
    metrics.write(str(path), FIGURES)
    assert values(path)["uuidfs_up[]"] == 1


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


def test_where_they_are_refused_the_reconciler_says_so_once_and_goes_on(make_tree: Build) -> None:
    pytest.importorskip("prometheus_client")
    tree = make_tree(Domain("web", uuid_for("web")))
    there = tree.host.root / "anybodys"
    there.mkdir()
    there.chmod(0o777)
    settings = tree.host.root / "etc/uuidfs/uuidfs.toml"
    settings.parent.mkdir()
    settings.write_text(f'[metrics]\ntextfile = "{there}/uuidfs.prom"\n')
    with reconciler(tree.host.root) as daemon:
        for _ in range(2):
            passed = daemon.passed()
            daemon.signal(signal.SIGHUP)
            while daemon.passed() == passed:
                time.sleep(0.01)
        assert tree.host.config_of("web").is_symlink()
        assert daemon.said().count("others may write to this directory") == 1
    assert list(there.iterdir()) == []


def test_a_single_pass_writes_them_too_where_no_reconciler_runs(make_tree: Build) -> None:
    pytest.importorskip("prometheus_client")
    web, db = Domain("web", uuid_for("web")), Domain("db", uuid_for("db"))
    root = make_tree(web, db).host.root
    file = root / "uuidfs.prom"
    settings = root / "etc/uuidfs/uuidfs.toml"
    settings.parent.mkdir()
    settings.write_text(f'kinds = ["snapshot"]\n[metrics]\ntextfile = "{file}"\n')
    uuidfs(root, "convert", "web", "--kind", "config").ok()
    uuidfs(root, "reconcile", "--once").ok()
    found = values(file)
    assert found["uuidfs_domains[('state', 'converted')]"] == 1
    assert found["uuidfs_domains[('state', 'plain')]"] == 1
    assert found["uuidfs_last_pass_timestamp_seconds[]"] >= found["uuidfs_start_time_seconds[]"]
    settings.write_text(f'[metrics]\ntextfile = "{file}"\n')
    uuidfs(root, "reconcile", "--once").ok()
    found = values(file)
    assert found["uuidfs_domains[('state', 'converted')]"] == 2
    assert found[f"uuidfs_folds_total[('uuid', '{db.uuid}')]"] == 4
    with reconciler(root):
        wait_for(lambda: values(file)["uuidfs_inotify_watches[]"] > 0, "the daemon's")
        uuidfs(root, "reconcile", "--once").ok()
        assert values(file)["uuidfs_inotify_watches[]"] > 0, "still the daemon's"
    settings.write_text(f'[metrics]\ntextfile = "{root}/nowhere/uuidfs.prom"\n')
    done = uuidfs(root, "reconcile", "--once")
    assert done.code == 1
    assert done.err.startswith("uuidfs: no metrics: ")
