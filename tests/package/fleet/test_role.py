"""packaging/ansible by the real ansible-core, over three hosts: overlays over a base of
tests/chroot/run, in a mount namespace that the whole test run of ansible-playbook shares."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.package.fleet.playing import Ansible, Play
from tests.package.test_rpm import BASE
from tests.support import trees
from tests.support.process import run
from tests.support.truth import facts

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(
        os.geteuid() != 0 or not BASE.exists(), reason=f"needs root and {BASE} (tests/package/run)"
    ),
]
# Ansible's apt module wants python3-apt, which is no part of the base.
# And two packages in a repository of its own, the older version of one is installed.
PREPARE = """
mount -t overlay overlay -o "lowerdir=$0,upperdir=$1/layer,workdir=$1/layer.work" "$1/layer.root"
mount -t proc proc "$1/layer.root/proc"
cp /etc/resolv.conf "$1/layer.root/etc/"
chroot "$1/layer.root" apt-get update -q
chroot "$1/layer.root" apt-get install -y -q --no-install-recommends python3-apt
repository=$1/layer.root/srv/repository
mkdir -p "$repository"
for package in uuidfs-sample_1 uuidfs-sample_2 uuidfs-other_2; do
    control="Package: ${package%_*}
Version: ${package#*_}
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: sample"
    mkdir -p "$1/$package/DEBIAN"
    echo "$control" >"$1/$package/DEBIAN/control"
    dpkg-deb --build "$1/$package" "$repository/$package.deb"
    [[ $package != *_1 ]] || continue
    echo "$control
Filename: ./$package.deb
Size: $(stat -c %s "$repository/$package.deb")
SHA256: $(sha256sum <"$repository/$package.deb" | cut -d ' ' -f 1)
" >>"$repository/Packages"
done
echo "deb [trusted=yes] file:/srv/repository ./" >"$1/layer.root/etc/apt/sources.list.d/sample.list"
chroot "$1/layer.root" apt-get update -q
chroot "$1/layer.root" dpkg -i "/srv/repository/uuidfs-sample_1.deb"
"""
ENTER = """
base=$0 work=$1; shift
for host in one two three; do
    mount -t overlay overlay \
        -o "lowerdir=$work/layer:$base,upperdir=$work/$host,workdir=$work/$host.work" \
        "$work/$host.root"
    mount -t proc proc "$work/$host.root/proc"
    mount -t tmpfs tmpfs "$work/$host.root/run"
    mount --bind /dev "$work/$host.root/dev"
done
exec "$@"
"""


def unshare(script: str, *words: str | Path) -> list[str | Path]:
    """The words that run a script in namespaces of its own."""
    return [
        *("unshare", "--mount", "--pid", "--fork", "--kill-child"),
        *("bash", "-ec", script, BASE, *words),
    ]


@dataclass(frozen=True)
class Fleet:
    ansible: Ansible
    work: Path
    deb: Path
    hosts: dict[str, trees.Tree] = field(default_factory=dict)

    def play(self, playbook: str, *words: str, **variables: object) -> Play:
        """Run a playbook on the three hosts."""
        return self.ansible.play(
            self.work / "hosts.ini",
            playbook,
            *words,
            variables={"uuidfs_package": str(self.deb), **variables},
            before=unshare(ENTER, self.work),
        )

    def version(self, package: str) -> str:
        """Of an installed package on host one; empty without it."""
        script = 'chroot "$1/one.root" dpkg-query -W -f "\\${Version}" "$2" || true'
        words = unshare(ENTER, self.work, "sh", "-c", script, "sh", self.work, package)
        return run(*words, env=os.environ).ok().out

    def links(self, host: str) -> int:
        return sum(path.is_symlink() for path in self.hosts[host].host.config.glob("*.xml"))


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    work = tmp_path_factory.mktemp("fleet")
    for name in ("layer", "layer.work", "layer.root"):
        (work / name).mkdir()
    run(*unshare(PREPARE, work), env=os.environ).ok()
    yield work
    shutil.rmtree(work)


@pytest.fixture
def fleet(ansible: Ansible, layer: Path, deb: Path) -> Fleet:
    found = Fleet(ansible, layer, next(deb.glob("uuidfs_*.deb")))
    lines = ["[hypervisors]"]
    for host in ("one", "two", "three"):
        for name in (host, f"{host}.work", f"{host}.root"):
            shutil.rmtree(layer / name, ignore_errors=True)
            (layer / name).mkdir()
        found.hosts[host] = trees.build(layer / host, trees.sample(4))
        lines.append(
            f"{host} ansible_host={layer}/{host}.root ansible_connection=chroot_host "
            "ansible_python_interpreter=/usr/bin/python3"
        )
    (layer / "hosts.ini").write_text("\n".join(lines) + "\n")
    return found


def an_upgrade(fleet: Fleet) -> None:
    """update_qemu upgrades a package that is installed, and no other one.

    No libvirt runs there, which fails the host afterwards: nobody can tell of its guests.
    """
    words = {"uuidfs_qemu_packages": ["uuidfs-sample", "uuidfs-other"]}
    for mode, upgraded in (("--check", False), ("--diff", True), ("--diff", False)):
        play = fleet.play("update_qemu", "--limit", "one", mode, **words)
        assert play.failed() == {"one": True}, play.text
        assert "cannot connect to qemu:///system" in play.text
        assert play.changed() == {"one": 1 if mode == "--check" or upgraded else 0}, play.text
        assert fleet.version("uuidfs-sample") == ("1" if mode == "--check" else "2")
        assert fleet.version("uuidfs-other") == ""


def test_converted_again_upgraded_and_reverted(fleet: Fleet) -> None:
    before = {host: facts(tree.host) for host, tree in fleet.hosts.items()}
    settings = {"uuidfs_configuration": {"lock-timeout": "20s", "trash": {"retention": "90d"}}}

    dry = fleet.play("convert", "--check", **settings)
    assert dry.code == 0, dry.text
    assert [fleet.links(host) for host in fleet.hosts] == [0, 0, 0]
    assert min(dry.changed().values()) > 0, "it says that something would be done"

    first = fleet.play("convert", **settings)
    assert first.code == 0, first.text
    assert [fleet.links(host) for host in fleet.hosts] == [4, 4, 4]
    assert {host: facts(tree.host) for host, tree in fleet.hosts.items()} == before
    toml = (fleet.work / "one/etc/uuidfs/uuidfs.toml").read_text()
    assert 'lock-timeout = "20s"' in toml
    assert '[trash]\nretention = "90d"' in toml

    again = fleet.play("convert", **settings)
    assert (again.code, again.changed()) == (0, dict.fromkeys(fleet.hosts, 0)), again.text
    an_upgrade(fleet)

    dry = fleet.play("revert", "--check")
    assert dry.code == 0, dry.text
    assert [fleet.links(host) for host in fleet.hosts] == [4, 4, 4]
    reverted = fleet.play("revert")
    assert reverted.code == 0, reverted.text
    assert [fleet.links(host) for host in fleet.hosts] == [0, 0, 0]
    assert {host: facts(tree.host) for host, tree in fleet.hosts.items()} == before


def test_a_host_that_fails_stops_the_batches_after_it(fleet: Fleet) -> None:
    (fleet.hosts["two"].host.config / "by-uuid").write_text("somebody's file\n")
    play = fleet.play("convert", uuidfs_serial=1)
    assert play.code != 0
    assert [fleet.links(host) for host in ("one", "two", "three")] == [4, 0, 0]
    assert "three" not in play.stats, "never tried"
