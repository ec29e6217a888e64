import importlib.util
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import Build
from tests.support.process import REPOSITORY
from tests.support.trees import domain_xml, uuid_for

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("build") is None or importlib.util.find_spec("hatchling") is None,
    reason="needs the build front end and hatchling",
)


def test_the_hook_of_a_wheel_in_a_venv_runs_that_venvs_python(
    tmp_path: Path, make_tree: Build
) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--skip-dependency-check",
            "--outdir",
            tmp_path,
            REPOSITORY,
        ],
        check=True,
        capture_output=True,
    )
    wheel = next(tmp_path.glob("*.whl"))
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    site = next(venv.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("uuidfs/data/qemu") == (REPOSITORY / "hooks/qemu").read_bytes()
        archive.extractall(site)
    tree = make_tree()
    install = (
        "import sys; from uuidfs.host import hook_file; "
        "from uuidfs.layout.connections import system; "
        "print(hook_file.install(system(sys.argv[1])).path)"
    )
    python = venv / "bin/python"
    done = subprocess.run(
        [python, "-I", "-c", install, tree.host.root],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
    )
    hook = Path(done.stdout.strip())
    assert f"python='{python}'\npythonpath=\n" in hook.read_text()
    subprocess.run(
        [hook, "vm0000", "prepare", "begin", "-"],
        cwd="/",
        check=True,
        input=domain_xml("vm0000", uuid_for("vm0000")),
        env={"PATH": os.environ["PATH"], "UUIDFS_ROOT": str(tree.host.root)},
    )
    assert tree.host.config_of("vm0000").is_symlink()
