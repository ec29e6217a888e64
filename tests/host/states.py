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
from tests.host.machine import Machine
from tests.live import guest

HERE = Path(__file__).parent
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
def machine(
    image: Path, base: Path | None = None, *, disk: Path | None = None
) -> Iterator[Machine]:
    """A machine that is not running yet, and is gone afterwards: on a layer over ``base``, or on
    ``disk``, which goes with it."""
    with directory() as own:
        if disk:
            disk.rename(own / "disk.qcow2")
        with Machine(image, own, base) as one:
            yield one


def _sweep() -> None:
    """Remove what killed runs left: a run holds a lock on its directory while it lives."""
    for left in CACHE.glob("run.*"):
        if time.time() - left.stat().st_mtime < 60:
            continue  # its maker may be about to lock it
        held = os.open(left, os.O_RDONLY)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
        os.close(held)


def ready(image: Path) -> Path:
    """The state of a machine that has booted and has domains, but not uuidfs."""

    def make(one: Machine) -> None:
        one.boot()
        world.populate(one)

    recipe = inspect.getsource(world.populate) + inspect.getsource(guest) + repr(world.ALL)
    return _state(image, "ready", [recipe.encode()], None, make)


def installed(image: Path, deb: Path) -> Path:
    """The same machine with the package."""
    before = ready(image)

    def make(one: Machine) -> None:
        one.resume(before)
        one.put([deb], "/root/deb")
        one.do(f"dpkg -i /root/deb/{deb.name}")
        one.settle()

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


def maker(image: Path, state: Path) -> Callable[[], AbstractContextManager[Machine]]:
    """Makes running machines that go on from a state."""

    @contextmanager
    def make() -> Iterator[Machine]:
        with machine(image, state / "disk.qcow2") as one:
            one.resume(state)
            yield one

    return make


def _state(
    image: Path, name: str, made_of: list[bytes], base: Path | None, make: Callable[[Machine], None]
) -> Path:
    """A state of the image, made anew when what it is made of has changed."""
    version = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, check=True)
    key = hashlib.sha256(b"\0".join([*made_of, version.stdout, repr(machines.HARDWARE).encode()]))
    state = image / f"{name}-{key.hexdigest()[:12]}"
    with (image / "lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # another run may be making it
        if not state.exists():
            for old in image.glob(f"{name}-*"):
                shutil.rmtree(old)
            with machine(image, base / "disk.qcow2" if base else None) as one:
                make(one)
                one.save(state.with_suffix(".new"))
            state.with_suffix(".new").rename(state)
    return state
