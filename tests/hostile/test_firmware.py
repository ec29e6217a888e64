"""QEMU's user owns nvram/: whatever it puts there, whenever, root gives nothing of another domain
away, touches nothing outside, and never waits (P7).

The domain beta, which was alpha, is the attacker's; victim is another one that is off.
"""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.exhaustion.firmware.libvirt import Libvirt
from tests.support.trees import QEMU_UID
from tests.support.truth import changes, fingerprint
from tests.unit.firmware.host import Firm, own, uuid
from uuidfs.errors import UuidfsError
from uuidfs.files import change
from uuidfs.firmware import redefine, run
from uuidfs.firmware.at_start import settle
from uuidfs.firmware.plan import Mode
from uuidfs.firmware.run import FirmwareOptions, convert_firmware, revert_firmware

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="plants files of other users: root")

A, MINE, VICTIMS = "alpha_VARS.fd", own(1), own(2)
CALLS = ("link", "unlink", "rename", "rename_new")
MANY = 40


class Ground:
    """The host, an area outside that nobody may touch, and what the victim has."""

    def __init__(self, top: Path) -> None:
        self.firm = Firm(top / "host")
        firm = self.firm
        firm.layout = firm.layout._replace(live=True)
        self.libvirt = Libvirt(firm.host, implied=False)
        self.outside = top / "outside"
        self.outside.mkdir()
        (self.outside / "shadow").write_text("secret")
        (self.outside / A).write_text("a file of this name")
        self.libvirt.define(uuid(1), "alpha")
        self.libvirt.define(uuid(2), "victim", str(firm.nvram / VICTIMS))
        firm.write(A, "of beta")
        firm.write(VICTIMS, "of victim")
        firm.note(1, A)
        firm.note(2, VICTIMS)
        for path in (firm.host.lib, firm.nvram, firm.nvram / A):
            os.chown(path, QEMU_UID, QEMU_UID)
        self.libvirt.rename(uuid(1), "beta")
        self.moved = self.linked = False
        self.victim = (firm.nvram / VICTIMS).stat().st_ino

    def untouched(self) -> dict[str, tuple[object, ...]]:
        """What lies outside, but for the number of its names."""
        return {
            rel: (mode, ino, uid, gid, extra[:3] if isinstance(extra, tuple) else extra)
            for rel, (mode, ino, uid, gid, extra, _) in fingerprint(self.outside).items()
        }

    def is_attackers(self, path: Path) -> bool:
        """Whether QEMU's user has put the victim's file there itself."""
        return path.name == MINE and self.moved

    def wrong(self) -> list[str]:
        """What must never be, whatever the attacker does to the names that are its own."""
        firm = self.firm
        found = []
        note = firm.kept / uuid(2) / "nvram"
        if not note.exists() or note.stat().st_ino != self.victim:
            found.append("the victim's variables are no longer noted as its")
        elif note.read_text() != "of victim":
            found.append("the victim's variables were changed")
        secret = (self.outside / "shadow").stat().st_ino
        for path in (firm.kept / uuid(1) / "nvram", firm.nvram / MINE):
            inode = path.lstat().st_ino if os.path.lexists(path) else 0
            if inode == self.victim and not self.is_attackers(path):
                found.append(f"{path} was given the victim's variables")
            if inode == secret and not (path.name == MINE and self.linked):
                found.append(f"{path} is a file from outside")
        found += [f"left: {path}" for path in firm.kept.rglob("*~new")]
        return found


def _replaced(put: Callable[[Path, Ground], object]) -> Callable[[Ground], None]:
    """Both names of the attacker's domain become something else."""

    def attack(ground: Ground) -> None:
        for entry in (A, MINE):
            path = ground.firm.nvram / entry
            path.unlink(missing_ok=True)
            if not path.exists():
                put(path, ground)

    return attack


def _victims_file(ground: Ground) -> None:
    (ground.firm.nvram / VICTIMS).rename(ground.firm.nvram / A)


def _victims_file_under_the_uuid(ground: Ground) -> None:
    (ground.firm.nvram / VICTIMS).rename(ground.firm.nvram / MINE)
    ground.moved = True


def _removed(ground: Ground) -> None:
    for path in ground.firm.nvram.iterdir():
        path.unlink()


def _directory(text: str) -> Callable[[Ground], None]:
    def attack(ground: Ground) -> None:
        ground.firm.nvram.rename(ground.firm.host.lib / "away")
        ground.firm.nvram.symlink_to(text.format(outside=ground.outside, kept=ground.firm.kept))

    return attack


def _own_directory(ground: Ground) -> None:
    ground.firm.nvram.rename(ground.firm.host.lib / "away")
    ground.firm.nvram.mkdir()
    os.link(ground.outside / "shadow", ground.firm.nvram / A)
    ground.linked = True  # where sysctl fs.protected_hardlinks is off


ATTACKS: dict[str, Callable[[Ground], None]] = {
    "symlink outside": _replaced(lambda path, ground: path.symlink_to(ground.outside / "shadow")),
    "symlink to the victim's": _replaced(lambda path, _: path.symlink_to(VICTIMS)),
    "fifo": _replaced(lambda path, _: os.mkfifo(path)),
    "directory": _replaced(lambda path, _: path.mkdir()),
    "hard link to the victim's": _replaced(
        lambda path, ground: (
            os.link(ground.firm.kept / uuid(2) / "nvram", path)
            if path.name == A
            else path.write_text("attacker's")
        )
    ),
    "another file": _replaced(lambda path, _: path.write_text("attacker's")),
    "the victim's file": _victims_file,
    "the victim's file under the UUID": _victims_file_under_the_uuid,
    "everything removed": _removed,
    "nvram linked outside": _directory("{outside}"),
    "nvram linked to kept": _directory("{kept}/" + uuid(2)),
    "nvram in a circle": _directory("nvram"),
    "nvram of its own": _own_directory,
}

WORK: dict[str, Callable[[Ground], object]] = {
    "convert": lambda ground: convert_firmware(
        ground.firm.layout, FirmwareOptions(Mode.ALL, lock_timeout=0.0)
    ),
    "revert": lambda ground: revert_firmware(
        ground.firm.layout, FirmwareOptions(Mode.ALL, ("beta", "victim"), lock_timeout=0.0)
    ),
    "hook": lambda ground: settle(
        ground.firm.layout,
        "beta",
        uuid(1),
        ground.libvirt.xml(ground.libvirt.domains[uuid(1)]).encode(),
    ),
}


@pytest.fixture(autouse=True)
def never_waits() -> Iterator[None]:
    signal.alarm(120)
    yield
    signal.alarm(0)


@pytest.mark.parametrize("work", WORK)
@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_before_any_call(
    attack: str, work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first look, and between each look and what follows."""
    failures, number = [], 0
    for number in range(MANY):
        ground = Ground(tmp_path / str(number))
        with monkeypatch.context() as patch:
            came = _armed(ground, patch, number, ATTACKS[attack])
            try:
                if number == 0:
                    came()
                before = ground.untouched()
                WORK[work](ground)
            except (UuidfsError, OSError):
                pass
        failures += [f"before call {number}: {each}" for each in ground.wrong()]
        failures += [f"outside: {each}" for each in changes(before, ground.untouched())]
        if not came.done:
            break
    assert not failures
    assert number < MANY - 1


class _Arming:
    def __init__(self, ground: Ground, number: int, attack: Callable[[Ground], None]) -> None:
        self.ground, self.left, self.attack = ground, number, attack
        self.done = False

    def __call__(self) -> None:
        self.done = True
        self.attack(self.ground)

    def call(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.done:
            self()


def _armed(
    ground: Ground, patch: pytest.MonkeyPatch, number: int, attack: Callable[[Ground], None]
) -> _Arming:
    arming = _Arming(ground, number, attack)

    def wrapped(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            arming.call()
            return real(*arguments, **named)

        return call

    patch.setattr(run, "runs", lambda _layout: True)
    patch.setattr(redefine, "virsh", wrapped(ground.libvirt.virsh))
    for name in CALLS:
        patch.setattr(change, name, wrapped(getattr(change, name)))
    return arming
