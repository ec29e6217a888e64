"""The bare loop: the system calls that change something in ``uuidfs convert --all``, no more.

``python -I bare.py ROOT TABLE``, TABLE with a line "NAME UUID" per domain: so the loop lists,
reads, parses, checks and locks nothing. What it does has to be what uuidfs does, call for
call; :mod:`benchmarks.calls` compares the two under strace.
"""

import ctypes
import os
import sys

SNAPSHOTS = ("1700000000.xml", "before-upgrade.xml", "nightly.xml")
SUFFIXES = (".log.2", ".log.1", ".log.0", ".log")
EXCHANGE = 2

_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
_renameat2.argtypes = [
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
]


def main(root: str, table: str) -> None:
    """Convert the tree below ``root``, whose domains are those of ``table``."""
    config, log = f"{root}/etc/libvirt/qemu", f"{root}/var/log/libvirt/qemu"
    lib = f"{root}/var/lib/libvirt"
    store, locks = f"{lib}/by-uuid/snapshot", f"{root}/run/uuidfs/lock"
    for path, mode in (
        (f"{root}/run/uuidfs", 0o700),
        (locks, 0o700),
        (f"{log}/by-uuid", 0o755),
        (f"{config}/by-uuid", 0o755),
        (f"{lib}/by-uuid", 0o755),
        (store, 0o755),
    ):
        _make(path, mode)
    configs, config_store = _open(config), _open(f"{config}/by-uuid")
    logs, log_store = _open(log), _open(f"{log}/by-uuid")
    touched = [config, f"{config}/by-uuid", log, f"{log}/by-uuid", lib, f"{lib}/by-uuid", store]
    with open(table) as file:
        domains = [line.split() for line in file]
    for name, uuid in domains:
        lock = os.open(f"{locks}/{uuid}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        for suffix in SUFFIXES:
            _fold(f"by-uuid/{uuid}{suffix}", log_store, uuid + suffix, logs, name + suffix)
        _fold(f"by-uuid/{uuid}.xml", config_store, f"{uuid}.xml", configs, f"{name}.xml")
        here, there = f"{lib}/qemu/snapshot/{name}", f"{store}/{uuid}"
        _make(there, 0o755)
        names, stored = _open(here), _open(there)
        for entry in SNAPSHOTS:
            _fold(f"../../../by-uuid/snapshot/{uuid}/{entry}", stored, entry, names, entry)
        os.close(names)
        os.close(stored)
        os.close(lock)
        touched += [here, there]
    for path in touched:
        fd = _open(path)
        os.fsync(fd)
        os.close(fd)


def _fold(text: str, store: int, stored: str, names: int, name: str) -> None:
    os.symlink(text, stored, dir_fd=store)
    if _renameat2(store, stored.encode(), names, name.encode(), EXCHANGE):
        raise OSError(ctypes.get_errno(), name)


def _make(path: str, mode: int) -> None:
    os.mkdir(path, 0o700)
    os.chmod(path, mode)


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


if __name__ == "__main__":
    main(*sys.argv[1:])
