"""What libvirt does at once with what uuidfs does, and from where."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.exhaustion.daemon import Daemon, Script, Watched
from tests.exhaustion.hooks import here
from tests.exhaustion.picture import Template
from tests.support.libvirt import Steps, finish
from tests.support.trees import Domain, Host, build, uuid_for
from uuidfs.check import repair
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert, revert
from uuidfs.files import change
from uuidfs.layout.connections import system
from uuidfs.layout.places import Kind, Layout
from uuidfs.reconcile import fast_path
from uuidfs.reconcile.full_pass import once
from uuidfs.reconcile.names import Names
from uuidfs.reconcile.queue import ChangedName
from uuidfs.runtime.known_checkpoints import KnownCheckpoints
from uuidfs.survey.identity import read_expat
from uuidfs.trash.entries import entries
from uuidfs.trash.restore import restore

Operation = Callable[[Daemon], None]
A, OTHER = uuid_for("exhaustion a"), uuid_for("exhaustion other")
HELPER = "-fs0-virtiofsd"  # of the name of a log
_NOW = Options(lock_timeout=0.0, reader=read_expat)


# -- uuidfs --------------------------------------------------------------------------------------


def _convert(daemon: Daemon) -> None:
    def known(_layout: Layout, uuid: str) -> KnownCheckpoints:
        return here.run.ask_checkpoints(uuid)  # type: ignore[no-any-return]  # of whatever run

    convert(daemon.layout, _NOW._replace(checkpoints=known))


def _revert(daemon: Daemon) -> None:
    revert(daemon.layout, _NOW)


def _repair(daemon: Daemon) -> None:
    repair(daemon.layout, _NOW)


def _full_pass(daemon: Daemon) -> None:
    once(daemon.layout, _NOW._replace(by="reconciler"))


def _fast_path(daemon: Daemon) -> None:
    """Events of all that the scripts change; the names are those of the last pass."""
    names = Names()
    names.replace([(A, ("a",))])
    changes = [
        ChangedName(kind, name, entry)
        for name in ("a", "b")
        for kind, entry in (
            (Kind.CONFIG, f"{name}.xml"),
            (Kind.SNAPSHOT, "s1.xml"),
            (Kind.CHECKPOINT, "c1.xml"),
        )
    ]
    fast_path.fold_changed(daemon.layout, names, changes, read_expat)


def _restore(daemon: Daemon) -> None:
    (entry,) = (e for e in entries(daemon.layout) if e.reason != "superseded")
    host = daemon.host
    assert isinstance(entry.kind, Kind)  # these domains have no keepsakes
    daemon.restored = {
        Kind.CONFIG: host.config_of("a"),
        Kind.SNAPSHOT: host.snapshot / "a" / entry.file,
        Kind.CHECKPOINT: host.checkpoint / "a" / entry.file,
        Kind.LOG: host.log_of("a"),
    }[entry.kind]
    restore(daemon.layout, entry.id, lock_timeout=0.0, reader=read_expat)


OPERATIONS: dict[str, Operation] = {
    "convert": _convert,
    "revert": _revert,
    "repair": _repair,
    "full pass": _full_pass,
    "fast path": _fast_path,
    "restore": _restore,
}


# -- libvirt -------------------------------------------------------------------------------------


def _redefine(libvirtd: Watched) -> Steps:
    yield from libvirtd.undefine("a")
    yield from libvirtd.define("a", OTHER)


def _save(libvirtd: Watched) -> Steps:
    return libvirtd.save("a")


def _snapshot(libvirtd: Watched) -> Steps:
    return libvirtd.snapshot("a", "s1")


def _rename(libvirtd: Watched) -> Steps:
    return libvirtd.rename("a", "b")


def _exchange(libvirtd: Watched) -> Steps:
    return libvirtd.exchange(libvirtd.host.snapshot / "a", libvirtd.host.snapshot / "o")


SCRIPTS: dict[str, Script] = {
    "save": (_save,),
    "save twice": (_save, _save),
    "snapshot": (_snapshot,),
    "snapshot twice": (_snapshot, _snapshot),
    "rename": (_rename,),
    "rename back": (_rename, lambda libvirtd: libvirtd.rename("b", "a")),
    "undefine": (lambda libvirtd: libvirtd.undefine("a"),),
    "redefine": (_redefine,),
    "define": (lambda libvirtd: libvirtd.define("a", OTHER),),
    "define again": (lambda libvirtd: libvirtd.define("a", A),),
    "snapshot delete": (lambda libvirtd: libvirtd.snapshot_delete("a", "s1"),),
    "delete and snapshot": (lambda libvirtd: libvirtd.snapshot_delete("a", "s1"), _snapshot),
    "checkpoint delete": (lambda libvirtd: libvirtd.checkpoint_delete("a", "c1"),),
    "rename and checkpoint delete": (
        _rename,
        lambda libvirtd: libvirtd.checkpoint_delete("b", "c1"),
    ),
    "rename and snapshot": (_rename, lambda libvirtd: libvirtd.snapshot("b", "c1")),
    "rollover": (lambda libvirtd: libvirtd.rollover("a"),),
    "rollover twice": (lambda libvirtd: libvirtd.rollover("a"),) * 2,
    "helper rollover": (lambda libvirtd: libvirtd.rollover("a", HELPER),),
    "rename and define": (_rename, lambda libvirtd: libvirtd.define("a", OTHER)),
    "copy": (lambda libvirtd: libvirtd.copy("a", "b"),),
    "nothing": (),
    "away": (lambda libvirtd: libvirtd.away(libvirtd.host.snapshot),),
    "exchange": (_exchange,),
}


# -- trees ---------------------------------------------------------------------------------------


class _Killed(BaseException):
    pass


def _half(host: Host) -> None:
    """A conversion that was killed between two calls in the middle."""
    made, real = 0, change.exchange

    def exchange(*arguments: object) -> None:
        nonlocal made
        if made == 1:
            raise _Killed
        made += 1
        real(*arguments)  # type: ignore[arg-type]  # as it was called

    change.exchange = exchange  # type: ignore[assignment]  # any arguments
    try:
        convert(system(str(host.root)), _NOW)
    except _Killed:
        pass
    finally:
        change.exchange = real


def _converted(host: Host) -> None:
    assert convert(system(str(host.root)), _NOW).exit_code == 0


def _trashed(script: Script) -> Callable[[Host], None]:
    """Converted, then something goes to the trash."""

    def prepare(host: Host) -> None:
        _converted(host)
        libvirtd = Watched(host)
        for operation in script:
            finish(operation(libvirtd))
        _converted(host)

    return prepare


def _cleaned(host: Host) -> None:
    """The domain is undefined, and somebody has removed its log from the store."""
    _trashed((lambda libvirtd: libvirtd.undefine("a"),))(host)
    (host.store("log") / f"{A}.log").unlink()


def _undefined(host: Host) -> None:
    """Converted, then undefined, and nobody of uuidfs has looked since."""
    _converted(host)
    finish(Watched(host).undefine("a"))


def _two(host: Host) -> None:
    """A second domain with a snapshot."""
    libvirtd = Watched(host)
    finish(libvirtd.define("o", OTHER))
    finish(libvirtd.snapshot("o", "s1"))


def _two_converted(host: Host) -> None:
    _two(host)
    _converted(host)


STARTS: dict[str, Callable[[Host], None]] = {
    "plain": lambda host: None,
    "converted": _converted,
    "half": _half,
    "two": _two,
    "two converted": _two_converted,
    "trashed snapshot": _trashed(SCRIPTS["snapshot delete"]),
    "cleaned": _cleaned,
    "undefined": _undefined,
    "trashed config": _trashed((lambda libvirtd: libvirtd.undefine("a"),)),
}


@dataclass(frozen=True)
class Scenario:
    """``files``: which of the domain's files are there: s, c and l, v for the log of virtiofsd and
    o for a mark for one autostart, since fewer are quicker.
    ``dies_after``: libvirt's calls before it is killed. ``bursts``: see Bound. ``known``: a
    defect of today's code that shows here, by what its sentences have in them."""

    start: str
    script: str
    does: tuple[str, ...]
    files: str = "scl"
    dies_after: int | None = None
    bursts: int = 0
    known: str = ""

    @property
    def name(self) -> str:
        dies = f" (dies after {self.dies_after})" if self.dies_after is not None else ""
        looks = " (between looks)" if self.bursts else ""
        return f"{self.start} {self.files}: {self.script}{dies} x {' + '.join(self.does)}{looks}"

    @property
    def operations(self) -> tuple[Operation, ...]:
        return tuple(OPERATIONS[each] for each in self.does)

    def daemon(self, root: Path) -> Daemon:
        return Daemon(root, SCRIPTS[self.script], self.dies_after)

    def template(self, root: Path) -> Template:
        """The tree at the start."""
        shutil.rmtree(root, ignore_errors=True)
        domain = Domain(
            "a",
            A,
            log_suffixes=("",) if "l" in self.files else (),
            snapshots=("s1",) if "s" in self.files else (),
            checkpoints=("c1",) if "c" in self.files else (),
        )
        host = build(root, (domain,)).host
        for extra in ("etc/libvirt/qemu/networks", "var/lib/libvirt/qemu/save"):
            shutil.rmtree(root / extra)
        host.log_of("gone").unlink()
        if "v" in self.files:
            config, share = host.config_of("a"), b"<devices><driver type='virtiofs'/>"
            config.write_bytes(config.read_bytes().replace(b"<devices>", share))
            host.log_of(f"a{HELPER}").write_text(f"{A} shares\n")
        if "o" in self.files:
            (host.autostart / "a.xml.once").symlink_to("/etc/libvirt/qemu/a.xml")
        (root / "run/uuidfs/lock").mkdir(parents=True, mode=0o700)
        (root / "run/uuidfs").chmod(0o700)
        STARTS[self.start](host)
        return Template.of(root)
