"""What has to be true between two calls, and when all have come to their end."""

import os
from collections.abc import Callable
from pathlib import Path

from tests.exhaustion.daemon import Daemon
from tests.support.libvirt import Libvirtd
from uuidfs.check import check, repair
from uuidfs.convert.results import Options, RunResult
from uuidfs.convert.run import convert, revert
from uuidfs.layout.places import Layout
from uuidfs.runtime.known_checkpoints import KnownCheckpoints

_NOW = Options(lock_timeout=0.0)


class Broken(AssertionError):
    """A promise that was not kept."""


def _asking(daemon: Daemon) -> Options:
    """libvirt still runs, and tells which checkpoints it knows."""

    def known(_layout: Layout, uuid: str) -> KnownCheckpoints:
        of = [d.checkpoints for d in daemon.libvirtd.domains.values() if d.uuid == uuid]
        return KnownCheckpoints(frozenset(*of), 0)

    return _NOW._replace(checkpoints=known)


def _demand(is_kept: bool, what: str) -> None:
    if not is_kept:
        raise Broken(what)


def in_between(daemon: Daemon) -> None:
    """Names open and give a whole document of their own; nothing comes back; no log is lost."""
    libvirtd, host = daemon.libvirtd, daemon.host
    if daemon.is_dead:
        _demand(any(map(_read, host.config.glob("*.xml"))), "no config opens")
    elif not libvirtd.moves:
        for path in libvirtd.truth:
            if path.parent.parent in {host.snapshot, host.checkpoint} and (
                host.config_of(path.parent.name) not in libvirtd.truth
            ):
                continue  # of a name that is no domain's any more: libvirt is about to remove it
            found = _read(path)
            if found is None and _is_held(daemon, path):
                continue
            _demand(found in daemon.written[path], f"{_rel(daemon, path)} does not open")
    for path in host.config.glob("*.xml"):
        known = path in libvirtd.truth or path == daemon.restored
        _demand(known, f"{_rel(daemon, path)} comes back: libvirt removed it")
    _no_log_is_lost(daemon)
    domains = {known.uuid for known in libvirtd.domains.values()}
    if daemon.starts_once in domains - libvirtd.leaving:
        _demand(any(host.autostart.glob("*.once")), "the mark for one autostart is lost")


def _is_held(daemon: Daemon, path: Path) -> bool:
    """What docs/design.md allows: a name that was taken off by mistake is missing for two calls."""
    text = daemon.libvirtd.truth[path]
    held = daemon.host.root.rglob("by-uuid/**/*~link")
    return any(_read(each) == text for each in held if not each.is_symlink())


def _rel(daemon: Daemon, path: Path) -> str:
    return os.path.relpath(path, daemon.host.root)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _no_log_is_lost(daemon: Daemon) -> None:
    there = {
        _read(path)
        for path in daemon.host.log.rglob("*")
        if not path.is_symlink() and path.is_file()
    }
    _demand(daemon.all_logs <= there, "a log is lost")


def at_the_end(daemon: Daemon, *, plain: bool = False) -> None:
    """libvirt finishes, then uuidfs with nobody else: all that libvirt has is under its names."""
    daemon.finish()
    if daemon.dies_after is not None:
        _the_daemon_starts_again(daemon)
        return
    if plain:
        _twice(daemon, lambda: revert(daemon.layout, _NOW))
        everything_is_there(daemon)
        for path in daemon.libvirtd.truth:
            _demand(not path.is_symlink(), f"{_rel(daemon, path)} is still a link")
        for path in daemon.host.log.glob("*.log*"):
            _demand(path.exists(), f"{_rel(daemon, path)} leads nowhere")
    _twice(daemon, lambda: convert(daemon.layout, _asking(daemon)))
    everything_is_there(daemon)
    _who_is_marked_starts_once(daemon)
    if not plain:
        _every_log_is_its_domains(daemon)
    _no_log_is_in_the_trash(daemon)
    for path in daemon.libvirtd.truth:
        _demand(path.is_symlink(), f"{_rel(daemon, path)} is no link")
    findings = [(f.path, f.problem) for f in check(daemon.layout).findings]
    _demand(not findings, f"check finds {findings}")


def _twice(daemon: Daemon, operation: Callable[[], RunResult]) -> None:
    """The second time everything is well, if not the first."""
    result = operation()
    daemon.follow_refiled()
    if result.exit_code != 0:
        result = operation()
        daemon.follow_refiled()
    errors = [domain.error for domain in result.domains if domain.error]
    _demand(result.exit_code == 0, f"{result.action} ends with {errors} {result.problems}")


def everything_is_there(daemon: Daemon) -> None:
    """By libvirt's memory, by what it wrote last, and after a restart of it."""
    libvirtd, host = daemon.libvirtd, daemon.host
    for path, text in libvirtd.truth.items():
        found = _read(path)
        if found != text:
            why = "does not open" if found is None else "is not what libvirt wrote last"
            raise Broken(f"{_rel(daemon, path)} {why}")
    for name, known in libvirtd.domains.items():
        for documents, top in (
            (known.snapshots, host.snapshot),
            (known.checkpoints, host.checkpoint),
        ):
            for each in documents:
                path = top / name / f"{each}.xml"
                misfiled = host.snapshot / name / f"{each}.xml"
                there = path in libvirtd.truth or misfiled in libvirtd.truth
                _demand(there, f"libvirt's own {_rel(daemon, path)} is missing")
    _nothing_comes_back(daemon)
    kept = {_read(path) for path in host.root.rglob("*.xml")}
    for what, text in libvirtd.removed.items():
        _demand(text in kept, f"{what}, which libvirt removed, is not in the trash")
    _no_log_is_lost(daemon)


def _every_log_is_its_domains(daemon: Daemon) -> None:
    """Of a converted tree: without uuidfs a new domain goes on with the log of its name."""
    libvirtd, host = daemon.libvirtd, daemon.host
    for name, known in libvirtd.domains.items():
        logs = [*host.log.glob(f"{name}.log*"), *host.log.glob(f"{name}-fs0-virtiofsd.log*")]
        texts = [_read(path) or b"" for path in logs]
        owners = {line.split()[0] for text in texts for line in text.splitlines()}
        _demand(owners <= {known.uuid.encode()}, f"{name} has a stranger's log")


def _no_log_is_in_the_trash(daemon: Daemon) -> None:
    """Of what virtlogd has not rotated away. Whose name another domain has, is in the store."""
    log, store = daemon.host.log, daemon.host.store("log")
    there = {_read(path) for top in (log, store) for path in top.glob("*.log*")}
    for path, text in daemon.libvirtd.logs.items():
        _demand(text in there, f"the log that libvirt left at {_rel(daemon, path)} is in the trash")


def _who_is_marked_starts_once(daemon: Daemon) -> None:
    """And nobody else; the mark says what libvirt's would."""
    domains = daemon.libvirtd.domains.items()
    names = {name for name, known in domains if known.uuid == daemon.starts_once}
    marks = {path.name: os.readlink(path) for path in daemon.host.autostart.glob("*.once")}
    wanted = {f"{name}.xml.once": f"/etc/libvirt/qemu/{name}.xml" for name in names}
    _demand(marks == wanted, f"marks for one autostart: {marks}")


def _nothing_comes_back(daemon: Daemon) -> None:
    libvirtd, host = daemon.libvirtd, daemon.host
    snapshots = host.snapshot.glob("*/*.xml")
    for path in (*host.config.glob("*.xml"), *snapshots):
        known = path in libvirtd.truth or path == daemon.restored
        _demand(known, f"{_rel(daemon, path)} comes back: libvirt removed it")
    for path in host.checkpoint.glob("*/*.xml"):
        domain = libvirtd.domains.get(path.parent.name)
        known = domain is not None and path.stem in domain.checkpoints
        known = known or path == daemon.restored
        _demand(known, f"{_rel(daemon, path)} comes back: libvirt deleted it")


def _the_daemon_starts_again(daemon: Daemon) -> None:
    """uuidfs-check.service runs before; then one name has all that the domain had."""
    repair(daemon.layout, _NOW)
    before = daemon.libvirtd
    if before.copied:
        everything_is_there(daemon)
        return
    after = Libvirtd(daemon.host)
    _demand(len(after.domains) == 1, f"{sorted(after.domains)} are there")
    (name,) = after.domains
    (had, *_) = before.domains.values()
    has = after.domains[name]
    _demand(has.uuid == had.uuid, "the domain has another UUID")
    _demand(set(has.snapshots) == set(had.snapshots), f"{name} has lost a snapshot")
    _twice(daemon, lambda: convert(daemon.layout, _NOW))
    _no_log_is_lost(daemon)
    after = Libvirtd(daemon.host)
    _demand(set(after.domains) == {name}, f"{sorted(after.domains)} are there")
    _demand(set(after.domains[name].snapshots) == set(had.snapshots), "a snapshot is lost")
    _demand(set(after.domains[name].checkpoints) == set(had.checkpoints), "a checkpoint is lost")
