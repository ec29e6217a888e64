"""Images, and saved states of machines: made once, kept in a cache, and gone on from by tests.

`UUIDFS_HOSTS` is the directory, by default /var/cache/uuidfs-hosts. It must be on a file system
that can O_DIRECT; a suite takes 4 GB of it."""

import contextlib
import fcntl
import hashlib
import inspect
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.host import machine as machines
from tests.host import world
from tests.host.container import Container
from tests.host.host import Host
from tests.host.machine import Machine
from tests.live import guest

HERE = Path(__file__).parent
_WORLD = (inspect.getsource(world.populate) + inspect.getsource(guest) + repr(world.ALL)).encode()
_held: list[int] = []
NewHost = Callable[[], AbstractContextManager[Host]]
CONTAINERS = os.environ.get("UUIDFS_HOST_AS") == "container"
CACHE = Path(os.environ.get("UUIDFS_HOSTS", "/var/cache/uuidfs-hosts"))


def image(suite: str) -> Path:
    """The directory with the disk of a Debian release; built where it is not there yet."""
    done = subprocess.run([HERE / "build", suite], stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip())


@contextmanager
def directory() -> Iterator[Path]:
    """A directory that is gone afterwards; after a kill, with the next one that is made."""
    _sweep()
    # Not in pytest's directories: these may be a tmpfs, or too deep for a socket's path.
    made = Path(tempfile.mkdtemp(prefix="run.", dir=CACHE))
    held = os.open(made, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    try:
        yield made
    finally:
        shutil.rmtree(made)
        os.close(held)


@contextmanager
def machine(image: Path, base: Path | None = None) -> Iterator[Machine]:
    """A machine that is not running yet, and is gone afterwards: on a layer over ``base``."""
    with directory() as own, Machine(image, own, base) as one:
        yield one


@contextmanager
def container(image: Path, base: Path) -> Iterator[Container]:
    """A container that is not running yet, and is gone afterwards: on a layer over ``base``."""
    with directory() as own, Container(image, own, base) as one:
        yield one


def _sweep() -> None:
    """Remove what killed runs left: a run holds a lock on its directory while it lives."""
    for left in CACHE.glob("run.*"):
        if time.time() - left.stat().st_mtime < 60:
            continue  # its maker may be about to lock it
        _remove_unheld(left)


def _remove_unheld(directory: Path) -> None:
    """Remove a directory that no process holds a lock on."""
    held = os.open(directory, os.O_RDONLY)
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(directory)
    os.close(held)


def ready(image: Path) -> Path:
    """The state of a machine that has booted and has domains, but not uuidfs."""

    def make(one: Machine) -> None:
        one.boot()
        world.populate(one)

    return _state(image, "ready", [_WORLD], None, make)


def installed(image: Path, deb: Path) -> Path:
    """The same machine with the package."""
    before = ready(image)

    def make(one: Machine) -> None:
        one.resume(before)
        _install(one, deb)

    return _state(image, "installed", [str(before).encode(), deb.read_bytes()], before, make)


def guarded(image: Path, modules: list[Path]) -> Path:
    """The machine of ready(), whose SELinux policy has some modules more."""
    before = ready(image)

    def make(one: Machine) -> None:
        one.resume(before)
        one.put(modules, "/root/modules")
        one.do("semodule -X 200 -i /root/modules/*.cil")

    texts = [module.read_bytes() for module in modules]
    return _state(image, "guarded", [str(before).encode(), *texts], before, make)


def ready_disk(image: Path) -> Path:
    """The disk of a host with domains, but not uuidfs, for a container."""
    return _disk(image, "disk", [_WORLD], image / "base.raw", world.populate)


def installed_disk(image: Path, deb: Path) -> Path:
    """The same with the package."""
    before = ready_disk(image)
    made_of = [str(before).encode(), deb.read_bytes()]
    return _disk(image, "installed-disk", made_of, before, lambda one: _install(one, deb))


def _install(host: Host, deb: Path) -> None:
    host.put([deb], "/root/deb")
    host.do(f"dpkg -i /root/deb/{deb.name}")
    host.settle()


def maker(image: Path, state: Path) -> Callable[[], AbstractContextManager[Machine]]:
    """Makes running machines that go on from a state."""

    @contextmanager
    def make() -> Iterator[Machine]:
        with machine(image, state / "disk.qcow2") as one:
            one.resume(state)
            yield one

    return make


def hosts(image: Path, deb: Path | None = None) -> NewHost:
    """Makes running hosts with domains, and with the package: machines, or containers."""

    @contextmanager
    def resumed() -> Iterator[Host]:
        with maker(image, installed(image, deb) if deb else ready(image))() as one:
            yield one

    @contextmanager
    def booted() -> Iterator[Host]:
        with container(image, installed_disk(image, deb) if deb else ready_disk(image)) as one:
            one.boot()
            yield one

    return booted if CONTAINERS else resumed


def _state(
    image: Path, name: str, made_of: list[bytes], base: Path | None, make: Callable[[Machine], None]
) -> Path:
    """A state of the image."""

    def save(state: Path) -> None:
        with machine(image, base / "disk.qcow2" if base else None) as one:
            make(one)
            one.save(state)

    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, check=True)
    return _kept(image, name, [*made_of, version.stdout, repr(machines.HARDWARE).encode()], save)


def _disk(
    image: Path, name: str, made_of: list[bytes], base: Path, make: Callable[[Host], None]
) -> Path:
    """A disk for containers."""

    def save(state: Path) -> None:
        with container(image, base) as one:
            one.boot()
            make(one)
            one.power_off()
            state.mkdir()
            one.disk.rename(state / "disk.qcow2")

    return _kept(image, name, made_of, save) / "disk.qcow2"


def _kept(image: Path, name: str, made_of: list[bytes], save: Callable[[Path], None]) -> Path:
    """A directory of the image, made anew when what it is made of has changed.

    This process holds it until it ends: disks are layers over it. So another version of the tests
    that runs meanwhile leaves it alone."""
    key = hashlib.sha256(b"\0".join(made_of)).hexdigest()[:12]
    state, new = image / f"{name}-{key}", image / f"{name}-{key}.new"
    with (image / f"{name}.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # another run may be making it
        if not state.exists():
            for old in [*image.glob(f"{name}-{'?' * 12}"), *image.glob(f"{name}-{'?' * 12}.new")]:
                _remove_unheld(old)
            save(new)
            new.rename(state)
        _held.append(os.open(state, os.O_RDONLY | os.O_CLOEXEC))
        fcntl.flock(_held[-1], fcntl.LOCK_SH)
    return state
