"""The rpm installed by rpm into a root of its own, where its programs run.

The root is an overlay over a base of tests/chroot/run, which tests/package/run has made: a
Debian, as that is what there is here, with a path file for Fedora's place of Python modules.
The domains are in the upper layer, so that they can be looked at from outside.
"""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.package.conftest import RPM_TOOLS, build, need
from tests.support import trees
from tests.support.truth import facts

BASE = Path(os.environ.get("UUIDFS_CHROOTS", "/var/cache/uuidfs-chroots")) / "bookworm/root"
# Debian has no such program; this one notes what it was called for.
HELPER = "usr/lib/systemd/systemd-update-helper"
pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not BASE.exists(), reason=f"needs root and {BASE} (tests/package/run)"
)


@dataclass(frozen=True)
class Root:
    """A root directory; ``upper`` is what it has beyond the base."""

    work: Path

    @property
    def upper(self) -> Path:
        return self.work / "upper"

    def run(self, *command: str | Path) -> str:
        """Run a command in a mount namespace in which $ROOT is assembled."""
        script = """
            mount -t overlay overlay -o "lowerdir=$0,upperdir=$1/upper,workdir=$1/overlay" "$1/root"
            mount -t proc proc "$1/root/proc"
            cd "$1"; shift
            exec "$@"
        """
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script, BASE, self.work, *command],
            capture_output=True,
            text=True,
            check=False,
            start_new_session=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def rpm(self, *words: str | Path) -> str:
        """Returns what rpm and its scriptlets said."""
        return self.run("rpm", "--root", self.work / "root", "--nodeps", *words)

    def uuidfs(self, *words: str) -> str:
        return self.run("chroot", "root", "uuidfs", *words)

    def calls(self) -> list[str]:
        """What systemd was asked for since the last time."""
        log = self.upper / "run/systemd.log"
        text = log.read_text() if log.exists() else ""
        log.unlink(missing_ok=True)
        return text.splitlines()


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two releases, the older one first."""
    need(*RPM_TOOLS)
    return [
        next(
            build("build-rpm", tmp_path_factory.mktemp("rpm"), "--release", release).glob(
                "uuidfs-[0-9]*.noarch.rpm"
            )
        )
        for release in ("1", "2")
    ]


@pytest.fixture
def root(tmp_path: Path) -> Root:
    for name in (
        "root",
        "overlay",
        "upper/usr/lib/python3/dist-packages",
        "upper/usr/lib/systemd",
        "upper/run",
    ):
        (tmp_path / name).mkdir(parents=True)
    site = [f"/usr/lib/python3.{minor}/site-packages\n" for minor in range(11, 16)]
    (tmp_path / "upper/usr/lib/python3/dist-packages/fedora.pth").write_text("".join(site))
    helper = tmp_path / "upper" / HELPER
    helper.write_text('#!/bin/sh\necho "$@" >>/run/systemd.log\n')
    helper.chmod(0o755)
    return Root(tmp_path)


def test_installed_upgraded_and_erased(root: Root, packages: list[Path]) -> None:
    tree = trees.build(root.upper, trees.sample(20))
    before = facts(tree.host)
    config = tree.host.config_of("vm0003")

    said = root.rpm("--install", packages[0])
    assert "domains converted" in said
    assert config.is_symlink()
    assert facts(tree.host) == before
    assert root.calls() == ["install-system-units uuidfs.service uuidfs-check.service"]
    assert "vm0003" in root.uuidfs("status")
    assert root.uuidfs("check") == "nothing found\n"
    assert "installed as /etc/libvirt/hooks/qemu" in root.uuidfs("hook", "status")

    root.uuidfs("revert", "vm0003")
    assert not config.is_symlink()
    root.rpm("--upgrade", packages[1])
    assert config.is_symlink(), "an upgrade converts"
    assert root.calls() == ["mark-restart-system-units uuidfs.service"]

    root.rpm("--erase", "uuidfs")
    assert not config.is_symlink()
    assert not any(tree.host.store(kind).exists() for kind in ("config", "log", "snapshot"))
    assert facts(tree.host) == before
    assert root.calls() == ["remove-system-units uuidfs.service uuidfs-check.service"]
    left = [
        path
        for top in ("etc/uuidfs", "usr/libexec", "usr/lib/python3.11", "usr/bin")
        for path in (root.upper / top).rglob("*")
        if path.is_file() and "uuidfs" in str(path.relative_to(root.upper))
    ]
    assert left == []
    assert not (root.upper / "etc/libvirt/hooks/qemu").is_file()


def test_another_layout_is_taken_back_by_the_version_that_knows_it(
    root: Root, packages: list[Path]
) -> None:
    tree = trees.build(root.upper, trees.sample(20))
    before = facts(tree.host)
    root.rpm("--install", packages[0])
    lifecycle = root.upper / "usr/libexec/uuidfs/lifecycle"
    script = lifecycle.read_text()
    assert "\nlayout=1 " in script
    lifecycle.write_text(script.replace("\nlayout=1 ", "\nlayout=0 "))
    said = root.rpm("--upgrade", packages[1])
    assert said.index("domains reverted") < said.index("domains converted")
    assert "\nlayout=1 " in lifecycle.read_text()
    assert tree.host.config_of("vm0003").is_symlink()
    assert (root.upper / "etc/libvirt/hooks/qemu").is_file()
    assert facts(tree.host) == before


def test_a_conversion_that_fails_is_told_and_fails_nothing(
    root: Root, packages: list[Path]
) -> None:
    tree = trees.build(root.upper, trees.sample(3))
    (tree.host.config / "by-uuid").write_text("somebody's file in the store's place\n")
    said = root.rpm("--install", packages[0])
    assert 'uuidfs: "uuidfs convert --all" ended with exit code 1' in said
    assert "uuidfs-0.1.0-1" in root.run("rpm", "--root", root.work / "root", "-q", "uuidfs")


def test_a_changed_configuration_is_kept(root: Root, packages: list[Path]) -> None:
    toml = root.upper / "etc/uuidfs/uuidfs.toml"
    root.rpm("--install", packages[0])
    toml.write_text('[trash]\nretention = "90d"\n')
    root.rpm("--upgrade", packages[1])
    assert "90d" in toml.read_text()
    root.rpm("--erase", "uuidfs")
    assert "90d" in toml.with_name("uuidfs.toml.rpmsave").read_text()


def test_erased_while_it_was_killed_and_erased_again(root: Root, packages: list[Path]) -> None:
    """rpm killed in its scriptlet: the package is still there, and the next run removes it."""
    tree = trees.build(root.upper, trees.sample(20))
    before = facts(tree.host)
    root.rpm("--install", packages[0])
    lifecycle = root.upper / "usr/libexec/uuidfs/lifecycle"
    script = lifecycle.read_text()
    before_revert = "    step 'what is left"
    assert before_revert in script
    lifecycle.write_text(script.replace(before_revert, f"    kill -KILL 0\n{before_revert}"))
    with pytest.raises(AssertionError):
        root.rpm("--erase", "uuidfs")
    lifecycle.write_text(script)
    assert tree.host.config_of("vm0003").is_symlink()
    root.rpm("--erase", "uuidfs")
    assert not tree.host.config_of("vm0003").is_symlink()
    assert facts(tree.host) == before


@pytest.mark.parametrize("policy", ["targeted", "minimum"])
def test_the_selinux_module_is_in_the_policy_while_its_package_is_there(
    root: Root, packages: list[Path], policy: str
) -> None:
    """As Fedora's macros do it: with priority 200, and for the policy of the package only."""
    (root.upper / "etc/selinux").mkdir(parents=True)
    (root.upper / "etc/selinux/config").write_text(f"SELINUX=enforcing\nSELINUXTYPE={policy}\n")
    (root.upper / "usr/sbin").mkdir(parents=True)
    for name in ("semodule", "load_policy", "selinuxenabled"):
        program = root.upper / "usr/sbin" / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>/run/systemd.log\n')
        program.chmod(0o755)
    old, new = (next(each.parent.glob("uuidfs-selinux-*.noarch.rpm")) for each in packages)
    module = "/usr/share/selinux/packages/targeted/uuidfs.cil"
    installs = [f"semodule -n -s targeted -X 200 -i {module}", "selinuxenabled ", "load_policy "]
    removes = ["semodule -n -X 200 -s targeted -r uuidfs", "selinuxenabled ", "load_policy "]
    ours = policy == "targeted"

    root.rpm("--install", old)
    assert root.calls() == (installs if ours else [])
    assert (root.upper / module[1:]).is_file()
    root.rpm("--upgrade", new)
    assert root.calls() == (installs if ours else [])
    root.rpm("--erase", "uuidfs-selinux")
    assert root.calls() == (removes if ours else [])


def test_the_selinux_package_comes_where_the_policy_is(packages: list[Path]) -> None:
    def tell(package: Path, what: str) -> list[str]:
        done = subprocess.run(
            ["rpm", "-qp", f"--{what}", package], capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()

    extra = next(packages[0].parent.glob("uuidfs-selinux-*.noarch.rpm"))
    release = extra.name.removeprefix("uuidfs-selinux-").removesuffix(".noarch.rpm")
    wanted = f"(uuidfs-selinux = {release} if selinux-policy-targeted)"
    assert wanted in tell(packages[0], "requires")
    assert "selinux-policy-targeted" in tell(extra, "requires")
    assert not [path for path in tell(packages[0], "list") if "selinux/" in path]
    assert "/var/lib/selinux/targeted/active/modules/200/uuidfs" in tell(extra, "list")
