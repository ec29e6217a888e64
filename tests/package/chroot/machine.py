"""The chroot as a libvirt host with domains, and what can be seen of it."""

import hashlib
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.live import guest
from tests.live.private_host import ENVIRONMENT
from tests.support import process
from tests.support.process import Done, wait_for

DEBS = Path(os.environ.get("UUIDFS_DEBS", "/nonexistent"))
CONFIGS = Path("/etc/libvirt/qemu")
STORES = (
    CONFIGS / "by-uuid",
    Path("/var/log/libvirt/qemu/by-uuid"),
    Path("/var/lib/libvirt/by-uuid"),
)
# Of the package "layout", see tests/package/run.
OTHER_STORES = tuple(store.with_name("other-layout") for store in STORES)
RUNNING = ("vm0000", "vm0001")
HOOKS = Path("/etc/libvirt/hooks")
SYSTEMD = Path("/run/systemd/system")
POLICY = Path("/usr/sbin/policy-rc.d")
SYSTEMCTL = Path("/usr/bin/systemctl")
# What packages and daemons write in any case: dpkg's own files, logs, libvirt's state.
OTHERS = (
    "/proc",
    "/sys",
    "/dev",
    "/tmp",
    "/src",
    "/root",
    "/run",
    "/var/lib/dpkg",
    "/var/lib/apt",
    "/var/cache/apt",
    "/var/log/apt",
    "/var/log/dpkg.log",
    "/var/log/alternatives.log",
    "/var/log/libvirt/libvirtd.log",
    "/var/cache/libvirt",
    "/var/lib/libvirt/qemu/domain-",
    "/var/lib/libvirt/qemu/channel",
    "/var/log/libvirt/qemu/vm",
    "/var/lib/libvirt/images",
)


def deb(version: str) -> Path:
    """The package of a version: old, new, or layout, which is the oldest."""
    return next(DEBS.glob(f"uuidfs_*{version}_all.deb"))


def run(*command: str, timeout: float = 600, env: dict[str, str] | None = None) -> Done:
    """Run a command as an administrator would."""
    return process.run(
        *command,
        timeout=timeout,
        new_session=True,
        env=ENVIRONMENT | {"DEBIAN_FRONTEND": "noninteractive"} | (env or {}),
    )


class Machine:
    """One libvirt host: this chroot."""

    def prepare(self, domains: int = 200) -> None:
        """Give it its domains, two of them with snapshots, a checkpoint, and running."""
        (CONFIGS.parent / "qemu.conf").write_text(
            'security_driver = "none"\nnamespaces = [ ]\n'
            "cgroup_controllers = [ ]\nremember_owner = 0\n"
        )
        (CONFIGS.parent / "libvirtd.conf").write_text(
            'auth_unix_rw = "none"\nlog_outputs = "3:file:/var/log/libvirt/libvirtd.log"\n'
        )
        images = Path("/var/lib/libvirt/images")
        with tempfile.TemporaryDirectory() as directory:
            template = guest.make_disk_template(Path(directory))
            for number, _ in enumerate(RUNNING):
                shutil.copy(template, images / f"{number}.qcow2")
        self.names = {f"vm{n:04}": guest.uuid(n) for n in range(domains)}
        for number, name in enumerate(self.names):
            (CONFIGS / f"{name}.xml").write_text(guest.domain(name, number))
        run("virtlogd", "--daemon").ok()
        self.start_libvirtd()
        for name in RUNNING:
            self.virsh("snapshot-create-as", name, "first").ok()
            with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
                file.write(guest.checkpoint("point"))
                file.flush()
                self.virsh("checkpoint-create", name, file.name, "--redefine").ok()
            self.virsh("start", name).ok()
        self.clean = listing()

    def virsh(self, *words: str) -> Done:
        """Run one virsh command."""
        return run("virsh", "--quiet", *words)

    def domains(self) -> dict[str, str]:
        """Name -> UUID, as the running libvirtd tells."""
        pairs = (
            line.split()
            for line in self.virsh("list", "--all", "--name", "--uuid").ok().out.splitlines()
            if line
        )
        return {name: uuid for uuid, name in pairs}

    def start_libvirtd(self) -> None:
        """Start it; returns when it accepts connections."""
        run("libvirtd", "--daemon").ok()

    def restart_libvirtd(self) -> None:
        """Stop and start it; guests go on."""
        pid = int(Path("/run/libvirtd.pid").read_text())
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not Path(f"/proc/{pid}").exists(), "libvirtd has ended")
        self.start_libvirtd()

    def plain(self) -> bool:
        """Whether nothing of uuidfs's is left in libvirt's directories."""
        return not any(store.exists() for store in STORES + OTHER_STORES) and not any(
            (CONFIGS / f"{name}.xml").is_symlink() for name in self.names
        )

    def converted(self, stores: tuple[Path, ...] = STORES) -> bool:
        """Whether each config is behind its link, and those of another layout are gone."""
        return not any(store.exists() for store in {*STORES, *OTHER_STORES} - {*stores}) and all(
            os.path.realpath(CONFIGS / f"{name}.xml") == str(stores[0] / f"{uuid}.xml")
            for name, uuid in self.names.items()
        )

    def check_names(self) -> None:
        """Each name opens the complete config of its domain, whatever state we are in."""
        for name, uuid in self.names.items():
            text = (CONFIGS / f"{name}.xml").read_text()
            assert f"<uuid>{uuid}</uuid>" in text, name
            assert text.rstrip().endswith("</domain>"), name
        for name in RUNNING:
            for kind, entry in (("snapshot", "first"), ("checkpoint", "point")):
                path = Path(f"/var/lib/libvirt/qemu/{kind}/{name}/{entry}.xml")
                assert f"<name>{entry}</name>" in path.read_text()

    def enable_systemd(self) -> None:
        """From here on maintainer scripts find a systemd: the stand-in."""
        self.disable_systemd()
        SYSTEMD.mkdir(parents=True)
        POLICY.rename(f"{POLICY}.real")
        SYSTEMCTL.rename(f"{SYSTEMCTL}.real")
        shutil.copy(Path(__file__).with_name("systemctl"), SYSTEMCTL)

    def disable_systemd(self) -> None:
        """The chroot as it is without one."""
        if SYSTEMD.exists():
            run("systemctl", "stop", "uuidfs.service")
            os.replace(f"{SYSTEMCTL}.real", SYSTEMCTL)
            os.replace(f"{POLICY}.real", POLICY)
            shutil.rmtree("/run/systemd")
        Path("/run/systemctl.log").unlink(missing_ok=True)

    def reset(self) -> None:
        """Take uuidfs away, by force where it must be; fail when its purge has left something.

        What was left goes, too: the next test starts on a clean host in any case.
        """
        if run("dpkg-query", "-W", "uuidfs").code == 0:
            run("dpkg", "--configure", "-a")
            run("dpkg", "--purge", "uuidfs").ok()
        self.disable_systemd()
        shutil.rmtree(HOOKS)
        HOOKS.mkdir()
        for archive in Path("/var/backups").glob("uuidfs*"):
            archive.unlink()
        assert self.plain()
        left = difference(self.clean, listing())
        for path in sorted(listing().keys() - self.clean.keys(), reverse=True):
            _remove(Path(path))
        if Path("/run/uuidfs").exists():  # the listing leaves /run out
            left.append("/run/uuidfs")
            shutil.rmtree("/run/uuidfs")
        assert left == [], "what a purge after this test has left"

    def stop(self) -> None:
        """End guests and daemons."""
        for name in RUNNING:
            self.virsh("destroy", name)
        for daemon in ("libvirtd", "virtlogd"):
            os.kill(int(Path(f"/run/{daemon}.pid").read_text()), signal.SIGTERM)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink()


def listing() -> dict[str, str]:
    """Everything on the system that a package could have changed: path -> what it is."""
    return dict(_listing("/"))


def _listing(directory: str) -> Iterator[tuple[str, str]]:
    for entry in os.scandir(directory):
        if entry.path.startswith(OTHERS):
            continue
        found = entry.stat(follow_symlinks=False)
        what = f"{stat.filemode(found.st_mode)} {found.st_uid}:{found.st_gid}"
        if entry.is_symlink():
            yield entry.path, f"{what} -> {os.readlink(entry.path)}"
        elif entry.is_dir():
            yield entry.path, what
            yield from _listing(entry.path)
        elif entry.is_file():
            # A file of libvirt's has to be the same one again, not a copy.
            inode = found.st_ino if "/libvirt/" in entry.path else ""
            yield entry.path, f"{what} {_digest(entry.path, found)} {inode}"


_digests: dict[tuple[int, int, int], str] = {}


def _digest(path: str, found: os.stat_result) -> str:
    """Of the content; once for a file that has not changed since, by its ctime."""
    key = (found.st_dev, found.st_ino, found.st_ctime_ns)
    if key not in _digests:
        with open(path, "rb") as file:
            _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
    return _digests[key]


def difference(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What changed, a line each."""
    return [
        f"{path}: {before.get(path)} => {after.get(path)}"
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]
