"""Which guests are outdated, with programs of the system as the processes of domains."""

import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import elf
from tests.support.guests import guest, live_layout, write_config, write_status
from tests.support.process import REPOSITORY
from tests.support.trees import uuid_for
from uuidfs.errors import UsageError
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout
from uuidfs.outdated import Looked, ReasonKind, look, outdated

powerless = pytest.mark.skipif(shutil.which("setpriv") is None, reason="needs setpriv")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="map_files is root's: root")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A live layout below the test's directory."""
    return live_layout(tmp_path)


@pytest.fixture
def qemu(tmp_path: Path) -> Path:
    """A copy of cat(1), which stays until its input ends."""
    return Path(shutil.copy("/bin/cat", tmp_path / "qemu"))


def replace(path: Path, data: bytes) -> None:
    new = path.with_name("new")
    new.write_bytes(data)
    new.chmod(0o755)
    new.rename(path)


def kinds(found: Looked) -> list[tuple[str, ReasonKind]]:
    assert found.problems == ()
    return [(one.name, reason.kind) for one in found.domains for reason in one.reasons]


def test_what_was_replaced_by_another_build_is_found(layout: Layout, qemu: Path) -> None:
    data = qemu.read_bytes()
    with guest(layout, "a", str(qemu)) as process:
        assert look(layout) == Looked((), 1, ())
        replace(qemu, data)
        assert look(layout) == Looked((), 1, ())
        replace(qemu, elf.with_another_build_id(data))
        (one,) = outdated(layout)
        assert (one.name, one.uuid, one.pid) == ("a", uuid_for("a"), process.pid)
        assert [(r.kind, r.path) for r in one.reasons] == [
            (ReasonKind.BINARY_REPLACED, str(qemu)),
        ]
        assert outdated(layout, {uuid_for("b")}) == ()
        replace(qemu, data)
        assert outdated(layout) == (), "the former build is installed again"
    assert look(layout) == Looked((), 0, ())


@pytest.mark.parametrize("name", ["qemu (deleted)", "qe\nmu", "qe\\012mu", "q\udcff m", "memfd:q"])
def test_a_name_may_be_odd(name: str, layout: Layout, qemu: Path) -> None:
    path = qemu.rename(qemu.with_name(name))
    data = path.read_bytes()
    with guest(layout, "a", str(path), emulator="/bin/cat"):
        assert look(layout) == Looked((), 1, ())
        replace(path, data)
        assert look(layout) == Looked((), 1, ())
        path.unlink()
        (one,) = outdated(layout)
        assert [(r.kind, r.path) for r in one.reasons] == [(ReasonKind.BINARY_MISSING, str(path))]


@pytest.mark.parametrize("words", ["--mount", "--mount --user --map-root-user"])
def test_a_namespace_of_its_own_changes_nothing(words: str, layout: Layout, qemu: Path) -> None:
    """libvirt gives each QEMU a mount namespace (namespaces in qemu.conf)."""
    own = ("unshare", *words.split())
    probe = subprocess.run([*own, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:  # in a plain chroot, say
        pytest.skip(f"nothing can be mounted for one process here: {probe.stderr.strip()}")
    data = qemu.read_bytes()
    with guest(layout, "a", *own, str(qemu)):
        assert look(layout) == Looked((), 1, ())
        replace(qemu, elf.with_another_build_id(data))
        assert kinds(look(layout)) == [("a", ReasonKind.BINARY_REPLACED)]
        replace(qemu, data)
        assert kinds(look(layout)) == []


def test_what_changes_while_it_is_looked_at_is_no_error(layout: Layout, qemu: Path) -> None:
    """Packages are unpacked, and guests end."""
    data = qemu.read_bytes()
    end = threading.Event()

    def unpack() -> None:
        while not end.is_set():
            replace(qemu, data)
            qemu.rename(qemu.with_name("aside"))  # for an instant there is none

    def live_shortly() -> None:
        while not end.is_set():
            with guest(layout, "b", "/bin/cat"):
                pass

    threads = [threading.Thread(target=each) for each in (unpack, live_shortly)]
    with guest(layout, "a", str(qemu)):
        for thread in threads:
            thread.start()
        try:
            for _ in range(300):
                found = look(layout)
                assert found.problems == ()
                assert {kind for _, kind in kinds(found)} <= {ReasonKind.BINARY_MISSING}
                assert {one.name for one in found.domains} <= {"a"}
        finally:
            end.set()
            for thread in threads:
                thread.join()


def test_a_process_that_becomes_another_program_is_not_outdated(layout: Layout) -> None:
    """libvirt's child holds the pid file before it becomes QEMU."""
    end = threading.Event()

    def begin_again() -> None:
        while not end.is_set():
            with guest(layout, "a", "/bin/cat"):
                pass

    thread = threading.Thread(target=begin_again)
    thread.start()
    try:
        for _ in range(1500):
            assert kinds(look(layout)) == []
    finally:
        end.set()
        thread.join()


def test_a_binary_that_was_moved_away_before_is_found_by_its_emulator(
    layout: Layout, qemu: Path, tmp_path: Path
) -> None:
    """What some do by hand instead of a rename over it: the process's path is the new one."""
    write_config(tmp_path, "a", str(qemu))
    with guest(layout, "a", str(qemu)):
        data = qemu.read_bytes()
        qemu.rename(tmp_path / "qemu.old")
        assert kinds(look(layout)) == [("a", ReasonKind.EMULATOR_MISSING)]
        replace(qemu, data)
        assert kinds(look(layout)) == []
        replace(qemu, elf.with_another_build_id(data))
        assert kinds(look(layout)) == [("a", ReasonKind.EMULATOR_CHANGED)]
        assert outdated(layout)[0].emulator is None


def test_a_wrapper_as_emulator_is_no_finding(layout: Layout, qemu: Path, tmp_path: Path) -> None:
    """A program that executes the real one, as NixOS has it: as old as the process, or a script."""
    wrapper = str(shutil.copy("/bin/true", tmp_path / "wrapper"))
    write_config(tmp_path, "a", wrapper)
    with guest(layout, "a", str(qemu), emulator=wrapper):
        assert kinds(look(layout)) == []
        script = tmp_path / "script"
        script.write_text("#!/bin/sh\n")
        write_config(tmp_path, "a", str(script))
        assert kinds(look(layout)) == []
        write_config(tmp_path, "a", "/bin/true")
        (one,) = outdated(layout)
        assert one.reasons[0].kind is ReasonKind.EMULATOR_CHANGED
        assert one.emulator == "/bin/true"


# Maps its argument so that it could execute it.
MAPS = """
import ctypes, mmap, os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
kept = mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC)
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_scratch_file_of_a_compiler_is_no_library(layout: Layout, tmp_path: Path) -> None:
    """ORC and others map code that they wrote to a file, and remove that at once."""
    scratch, library = tmp_path / "orcexec.1", tmp_path / "lib.so"
    scratch.write_bytes(bytes(8192))
    library.write_bytes(elf.make(None))
    program = os.path.realpath(sys.executable)
    command = (program, "-S", "-c", MAPS)
    with guest(layout, "a", *command, str(scratch), hello=b"ready"):
        scratch.unlink()
        assert kinds(look(layout)) == []
    with guest(layout, "a", *command, str(library), hello=b"ready"):
        data = library.read_bytes()
        replace(library, data)
        assert kinds(look(layout)) == [], "without a build-id the contents are compared"
        replace(library, data + b"x")
        assert kinds(look(layout)) == [("a", ReasonKind.LIBRARY_REPLACED)]
        replace(library, elf.make(b"with one"))
        assert kinds(look(layout)) == [("a", ReasonKind.LIBRARY_REPLACED)]
        library.unlink()
        assert kinds(look(layout)) == [("a", ReasonKind.LIBRARY_MISSING)]
        os.mkfifo(library)
        assert kinds(look(layout)) == [("a", ReasonKind.LIBRARY_REPLACED)]


def test_a_program_at_a_fixed_address_is_read_too(layout: Layout, tmp_path: Path) -> None:
    """Its addresses have zeros in front in maps, and none in map_files."""
    program = tmp_path / "main"
    program.write_bytes(elf.at_a_fixed_address())
    program.chmod(0o755)
    with guest(layout, "a", str(program), hello=b"ready") as process:
        maps = Path(f"/proc/{process.pid}/maps").read_text()
        assert re.search("^00400000-00401000 r-x", maps, re.M)
        assert look(layout) == Looked((), 1, ())
        program.unlink()
        assert kinds(look(layout)) == [("a", ReasonKind.BINARY_MISSING)]


def test_a_number_in_a_pid_file_is_nobody(layout: Layout, qemu: Path) -> None:
    write_status(layout, "a", str(qemu))
    assert look(layout) == Looked((), 0, ())
    Path(f"{layout.status.path}/a.pid").write_text(f"{os.getpid()}\n")
    assert look(layout) == Looked((), 0, ())


def test_what_is_no_daemons_status_file_is_left_out(layout: Layout, qemu: Path) -> None:
    """From libvirt 11 on the directory is QEMU's user's."""
    status = Path(layout.status.path)
    with guest(layout, "a", str(qemu)):
        qemu.unlink()
        assert len(outdated(layout)) == 1
        os.chown(status / "a.xml", 12345, 12345)
        assert look(layout) == Looked((), 0, ())
        os.chown(status / "a.xml", 0, 0)
        for damaged in ("", "<domstatus", "<domain><name>a</name></domain>"):
            (status / "a.xml").write_text(damaged)
            assert look(layout) == Looked((), 0, ())
        (status / "a.xml").unlink()
        (status / "a.xml").symlink_to("/etc/passwd")
        assert look(layout) == Looked((), 0, ())


def test_a_config_that_cannot_be_read_is_told(layout: Layout, qemu: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "etc/libvirt/qemu/a.xml")
    with guest(layout, "a", str(qemu)):
        found = look(layout)
        assert [(p.name, p.reason) for p in found.problems] == [("a", "it is not a regular file")]
        assert (found.domains, found.exit_code) == ((), 1)
        qemu.unlink()
        found = look(layout)
        assert (len(found.domains), len(found.problems), found.exit_code) == (1, 1, 3)
    (tmp_path / "etc/libvirt/qemu/a.xml").unlink()
    (tmp_path / "loop").symlink_to("loop")
    write_config(tmp_path, "a", str(tmp_path / "loop"))
    with guest(layout, "a", "/bin/cat"):
        (problem,) = look(layout).problems
        assert "loop: Too many levels of symbolic links" in problem.reason


POWERLESS = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
LOOK = """
import sys
from uuidfs.layout.connections import system
from uuidfs.outdated import look
found = look(system(sys.argv[1])._replace(live=True))
print(found.exit_code, found.looked, *(p.reason for p in found.problems))
"""


def powerless_look(root: Path) -> str:
    """What a look without any capability says."""
    return subprocess.run(
        [*POWERLESS, sys.executable, "-c", LOOK, root],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(REPOSITORY)},
    ).stdout.strip()


@powerless
def test_a_process_that_one_may_not_look_at_is_told(
    layout: Layout, qemu: Path, tmp_path: Path
) -> None:
    with guest(layout, "a", str(qemu)):
        said = powerless_look(tmp_path)
    assert said == "1 0 its process cannot be looked at: ns/user: Permission denied; run as root"


@powerless
def test_a_users_own_guest_is_looked_at_as_far_as_a_user_can(
    layout: Layout, qemu: Path, tmp_path: Path
) -> None:
    """As of qemu:///session: map_files is closed, and only what was replaced needs it."""
    library = tmp_path / "lib.so"
    library.write_bytes(elf.make(b"one"))
    command = (*POWERLESS, os.path.realpath(sys.executable), "-S", "-c", MAPS, str(library))
    with guest(layout, "a", *command, hello=b"ready"):
        assert powerless_look(tmp_path) == "0 1"
        replace(library, elf.make(b"one"))
        said = powerless_look(tmp_path)
        assert said.startswith("1 1 its process cannot be looked at: map_files/")
        assert said.endswith("; run as root")
    with guest(layout, "b", *POWERLESS, str(qemu)):
        replace(qemu, qemu.read_bytes())
        assert powerless_look(tmp_path) == "0 1"
        replace(qemu, elf.with_another_build_id(qemu.read_bytes()))
        assert powerless_look(tmp_path) == "3 1"


def test_a_directory_without_processes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="running guests of this host"):
        look(system(str(tmp_path)))
