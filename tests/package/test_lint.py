"""Both packages are clean for their distribution's own critics."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.process import REPOSITORY


def test_lintian_finds_nothing(deb: Path) -> None:
    """Source, binary and changes; errors and warnings, none of them overridden."""
    done = subprocess.run(
        [
            "lintian",
            "--allow-root",
            "--fail-on",
            "error,warning",
            "--profile",
            "debian",
            next(deb.glob("*.changes")),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert not list((REPOSITORY / "packaging/deb").rglob("*lintian-overrides"))


def test_rpmlint_finds_nothing(rpm: Path) -> None:
    done = subprocess.run(
        [
            "rpmlint",
            "--config",
            REPOSITORY / "packaging/rpm/rpmlint.toml",
            *rpm.glob("*.rpm"),
            REPOSITORY / "packaging/rpm/uuidfs.spec",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 errors, 0 warnings" in done.stdout


SCRIPTS = [
    *(REPOSITORY / f"packaging/deb/uuidfs.{s}" for s in ("preinst", "postinst", "prerm", "postrm")),
    *(REPOSITORY / "packaging/deb/tests" / s for s in ("command", "suite", "host", "reboot")),
    REPOSITORY / "packaging/lifecycle",
    REPOSITORY / "packaging/virtiofsd/uuidfs-virtiofsd",
    REPOSITORY / "packaging/completions",
    REPOSITORY / "packaging/export",
    REPOSITORY / "packaging/cockpit/install",
    REPOSITORY / "packaging/cockpit/po/update",
    REPOSITORY / "packaging/build-deb",
    REPOSITORY / "packaging/build-rpm",
    REPOSITORY / "tests/package/run",
    REPOSITORY / "tests/package/inside",
    REPOSITORY / "tests/package/chroot/systemctl",
    REPOSITORY / "tests/package/piuparts",
    REPOSITORY / "tests/package/piuparts.d/post_setup_domains",
    REPOSITORY / "tests/package/piuparts.d/post_install_domains",
    REPOSITORY / "tests/chroot/run",
    REPOSITORY / "tests/host/build",
    REPOSITORY / "tests/modular/build-virtqemud",
    REPOSITORY / "tests/support/own-mirror",
    REPOSITORY / "hooks/qemu",
]


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run(["shellcheck", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_copy_of_the_version_is_the_same() -> None:
    """One place would be better; five kinds of file each want to have it."""
    version = re.search(r'__version__ = "(.*)"', (REPOSITORY / "uuidfs/__init__.py").read_text())
    assert version is not None
    for path, pattern in (
        ("pyproject.toml", r'^version = "(.*)"'),
        ("packaging/deb/changelog", r"\A\w+ \((.*)-"),
        ("packaging/rpm/uuidfs.spec", r"^Version: *(.*)"),
        ("packaging/ansible/galaxy.yml", r"^version: (.*)"),
    ):
        found = re.search(pattern, (REPOSITORY / path).read_text(), re.MULTILINE)
        assert found is not None, path
        assert found[1] == version[1], path


@pytest.mark.skipif(shutil.which("secilc") is None, reason="needs secilc")
def test_the_selinux_module_is_cil_that_a_policy_takes(tmp_path: Path) -> None:
    """Over a policy of three types, where a block for a daemon that it has not is left out."""
    base = tmp_path / "base.cil"
    base.write_text("""
        (class lnk_file (getattr read rename unlink)) (class process (fork))
        (classorder (lnk_file process))
        (sid kernel) (sidorder (kernel))
        (type kernel_t) (type virtlogd_t) (type virt_log_t) (role r) (user u)
        (typeattribute cil_gen_require) (typeattributeset cil_gen_require (kernel_t))
        (roletype r kernel_t) (userrole u r)
        (sensitivity s0) (sensitivityorder (s0)) (userlevel u (s0)) (userrange u ((s0) (s0)))
        (sidcontext kernel (u r kernel_t ((s0) (s0))))
        (allow kernel_t self (process (fork)))
    """)
    done = subprocess.run(
        [
            "secilc",
            "-o",
            tmp_path / "policy",
            "-f",
            tmp_path / "contexts",
            base,
            REPOSITORY / "packaging/selinux/uuidfs.cil",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    policy = (tmp_path / "policy").read_bytes()
    assert b"virtlogd_t" in policy
    assert b"virtqemud_t" not in policy


def test_libvirts_daemons_may_use_links_of_every_label_that_they_have() -> None:
    """A snapshot's link comes by an exchange, with the label that it was made with in by-uuid:
    virt_var_lib_t. Found on Debian 13 with its policy, permissive."""
    text = (REPOSITORY / "packaging/selinux/uuidfs.cil").read_text()
    found = re.findall(r"\(allow (\w+) (\w+) \(lnk_file \(getattr read rename unlink\)\)\)", text)
    labels = ["virt_etc_rw_t", "virt_log_t", "virt_var_lib_t", "qemu_var_run_t", "svirt_runtime_t"]
    assert sorted(found) == sorted(
        [("virtlogd_t", "virt_log_t")]
        + [(daemon, label) for daemon in ("virtd_t", "virtqemud_t") for label in labels]
    )
