"""Mounts by descriptors: nobody but root leads them anywhere. In a mount namespace of their own."""

import subprocess
import sys

import pytest

from tests.support.process import REPOSITORY, Done, run

UNSHARE = ("unshare", "--mount", "--propagation", "private")

BEFORE = """
import os, subprocess, sys
from uuidfs.errors import UuidfsError
from uuidfs.localmigration import mounts

def mode(path, bits, user=0):
    os.chown(path, user, user)
    os.chmod(path, bits)

def refused(path, **how):
    try:
        os.close(mounts.trusted(path, **how))
    except UuidfsError as error:
        return str(error)
    return ""

def inode(fd):
    found = os.fstat(fd)
    return found.st_dev, found.st_ino

def at(path):
    found = os.stat(path)
    return found.st_dev, found.st_ino

subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", "/mnt"], check=True)
os.chdir("/mnt")
os.makedirs("/mnt/a/b/c")
os.makedirs("/mnt/victim")
before = len(os.listdir("/proc/self/fd"))
"""

AFTER = """
assert len(os.listdir("/proc/self/fd")) == before, "descriptors are left open"
"""


def inside(code: str, *, leaks: bool = False) -> Done:
    """Run some code with an empty /mnt of its own; it asserts."""
    words = [*UNSHARE, sys.executable, "-c", BEFORE + code + ("" if leaks else AFTER)]
    return run(*words, cwd=REPOSITORY).ok()


@pytest.fixture(autouse=True)
def _able() -> None:
    """Root that may make mount namespaces."""
    done = subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no mount namespace can be made here")


def test_a_directory_of_roots_own() -> None:
    inside("""
fd = mounts.trusted("/mnt/a/b/c")
assert inode(fd) == at("/mnt/a/b/c")
os.close(fd)
mode("/mnt/a/b/c", 0o777, 1000)  # the last one may be anybody's
assert refused("/mnt/a/b/c") == ""
os.symlink("/mnt/a", "/mnt/link")
os.symlink("../victim", "/mnt/a/up")
for path, real in (("/mnt/link/b", "/mnt/a/b"), ("/mnt/link/up", "/mnt/victim")):
    fd = mounts.trusted(path)  # root's own links are root's word
    assert inode(fd) == at(real)
    os.close(fd)
""")


@pytest.mark.parametrize(("bits", "user"), [(0o775, 0), (0o757, 0), (0o1777, 0), (0o755, 1000)])
def test_a_directory_that_others_may_change(bits: int, user: int) -> None:
    inside(f"""
mode("/mnt/a", {bits}, {user})
assert "others than root" in refused("/mnt/a/b/c")
os.symlink("/mnt/a/b", "/mnt/link")
assert "others than root" in refused("/mnt/link/c")
assert bool(refused("/mnt/a/b/c", shared=True)) == ({bits:#o} != 0o775)
""")


def test_a_link_in_a_directory_that_is_a_groups_too() -> None:
    """Such is /var/log of Ubuntu: a directory in it is one, and a link could lead anywhere."""
    inside("""
mode("/mnt/a", 0o775)
os.symlink("/mnt/victim", "/mnt/a/link")
assert "this link is not followed" in refused("/mnt/a/link", shared=True)
assert "this link is not followed" in refused("/mnt/a/link/x", shared=True)
os.symlink("loop", "/mnt/loop")
assert "this link is not followed" in refused("/mnt/loop")
assert "No such file" in refused("/mnt/nothing")
""")


def test_a_link_beside() -> None:
    inside("""
fd = mounts.trusted("/mnt/a")
assert mounts.beside(fd, "nothing", "x") is None
os.symlink("/mnt/victim", "/mnt/a/nvram")
try:
    mounts.beside(fd, "nvram", "/mnt/a/nvram")
except UuidfsError as error:
    assert "/mnt/a/nvram" in str(error)
else:
    raise AssertionError("it was followed")
os.close(fd)
""")


def test_a_directory_that_is_exchanged_stays_the_same() -> None:
    """What was opened is mounted, and mounted over, wherever its name leads by then."""
    inside("""
open("/mnt/a/b/file", "w").close()
source, target = mounts.trusted("/mnt/a/b"), mounts.trusted("/mnt/a/b/c")
os.makedirs("/mnt/t")
target2 = mounts.trusted("/mnt/t")
os.rename("/mnt/a/b", "/mnt/a/moved")
os.symlink("/mnt/victim", "/mnt/a/b")
os.rename("/mnt/t", "/mnt/t.moved")
os.symlink("/mnt/victim", "/mnt/t")
mounts.bind(source, target2, "test")
assert os.path.exists("/mnt/t.moved/file")
assert not os.listdir("/mnt/victim")
for fd in (source, target, target2):
    os.close(fd)
assert mounts.unmount("/mnt/t.moved")
assert not os.path.exists("/mnt/t.moved/file")
assert not mounts.unmount("/mnt/t.moved")
""")


def test_no_link_is_followed_on_the_small_tmpfs() -> None:
    inside("""
fd = mounts.trusted("/mnt/a")
mounts.small_tmpfs(fd, (1000, 1001), "test")
os.close(fd)
found = os.stat("/mnt/a")
assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1000, 1001, 0o700)
os.symlink("/etc/passwd", "/mnt/a/link")
try:
    open("/mnt/a/link")
except OSError as error:
    assert error.errno == 40  # ELOOP
else:
    raise AssertionError("it was followed")
try:
    open("/mnt/a/large", "wb").write(bytes(1 << 20))
except OSError as error:
    assert error.errno == 28  # ENOSPC
else:
    raise AssertionError("it took 1 MiB")
""")


def test_what_the_kernel_refuses_is_said() -> None:
    inside(
        """
fd = mounts.trusted("/mnt/a")
os.rmdir("/mnt/victim")
try:
    mounts.bind(os.open("/dev/null", os.O_PATH), fd, "what it is")
except UuidfsError as error:
    assert "what it is" in str(error)
else:
    raise AssertionError("a file was mounted over a directory")
""",
        leaks=True,
    )
