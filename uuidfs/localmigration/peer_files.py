"""The files that a peer daemon starts with: its configuration, its hook, its cache.

All of them are made by root in a new directory that only root can enter. docs/local-migration.md
says who can read what, and for how long: passwords are in some of them.
"""

import contextlib
import os
import re
import uuid as uuids
from shlex import quote as quoted
from typing import NamedTuple

from uuidfs.errors import UuidfsError
from uuidfs.files import change
from uuidfs.files.directory import existing, opened
from uuidfs.files.small import private, write_whole
from uuidfs.host.interpreter import command as python
from uuidfs.layout.places import Place
from uuidfs.localmigration import look_at_host, peer_hook
from uuidfs.localmigration.devices.facts import HostFacts, to_text
from uuidfs.localmigration.hop_sockets import HOPS
from uuidfs.localmigration.peer_inside import HOSTS, OVER, TPM, TPM_LOG

_CACHE = 64, 1 << 24  # files, and bytes of each, of what QEMU can do

_OWN = {  # of qemu.conf; the rest is the host's
    "stdio_handler": '"file"',  # virtlogd is the host's
    "security_driver": '"none"',  # the host's removes the profile of this UUID with its process
    # Else it takes the disks back to root when the guest has gone home with them.
    "dynamic_ownership": "0",
    "auto_dump_path": '"/var/lib/libvirt/qemu/dump"',
    # It never gives the host's daemon up. Else, where that one hangs at the end of the way home
    # and goes on later, both would let the guest run.
    "keepalive_interval": "-1",
}


class Guest(NamedTuple):
    """Whom a peer is for: its name there, its live XML, and the QEMU binary that it moves to.

    ``owner``: the user and group of its QEMU process. ``tpm_state``: the directory on disk for its
    emulated TPM's state, None where it has none. ``facts``: what of the host the domain hangs on.
    """

    peer_name: str
    live: str
    emulator: str | None
    owner: tuple[int, int]
    tpm_state: str | None
    facts: HostFacts


def make(directory: str, daemon: str, guest: Guest) -> None:
    """Make a peer's directory, which must not be there. Raises UuidfsError or OSError."""
    change.make_path(directory, 0o700)
    for part in (*OVER, *HOSTS):
        change.make_path(f"{directory}/{part}", 0o711)
    _make_for_tpm(directory, guest.tpm_state)
    for part in (
        "log/qemu",
        "run/qemu",
        "lib/nvram",
        "etc/qemu",
        "etc/hooks",
        "etc/secrets",
        "cache/qemu/capabilities",
        f"run/{os.path.basename(HOPS)}",
    ):
        change.make_path(f"{directory}/{part}")
    for name, text in (
        (f"{daemon}.conf", _daemon_conf()),
        ("qemu.conf", _qemu_conf()),
    ):
        with open(f"{directory}/etc/{name}", "w", opener=private) as file:
            file.write(text)
    with existing(Place(directory)) as kept:
        for name, text in (
            (peer_hook.LIVE_XML, guest.live),
            (peer_hook.EMULATOR, guest.emulator or ""),
            (peer_hook.FACTS, to_text(guest.facts)),
            (peer_hook.NAME, guest.peer_name),
        ):
            write_whole(kept, name, text.encode(errors="surrogateescape"), mode=0o600)
        with existing(Place(f"{directory}/etc/hooks")) as hooks:
            write_whole(hooks, "qemu", _hook(directory, guest), mode=0o755)
    _copy_cache(f"{directory}/cache/qemu/capabilities")
    if guest.facts.filters:
        _copy_filters(f"{directory}/etc/nwfilter")


def _make_for_tpm(directory: str, state: str | None) -> None:
    """The state is on disk, since a power cut must not roll it back; swtpm's logs are not."""
    if state is None:
        return
    change.make_path(f"{directory}/{TPM_LOG}", 0o711)
    with existing(Place(directory)) as peer:
        change.symlink(state, peer, TPM)


def _daemon_conf() -> str:
    return (
        f'host_uuid = "{uuids.uuid4()}"\n'
        'auth_unix_rw = "none"\n'
        'unix_sock_rw_perms = "0700"\n'
        'log_outputs = "3:file:/var/log/libvirt/peer.log"\n'
        "max_clients = 20\n"
    )


def _qemu_conf() -> str:
    """The host's, with what has to be different in the peer; the parser takes the first."""
    text = ""
    with contextlib.suppress(FileNotFoundError), open("/etc/libvirt/qemu.conf") as file:
        text = file.read()
    for key in _OWN:
        text = re.sub(rf"(?m)^[ \t]*{key}[ \t]*=[ \t]*(\[[^\]]*\]|.*)$", "", text)
    return text + "\n" + "".join(f"{key} = {value}\n" for key, value in _OWN.items())


def _hook(directory: str, guest: Guest) -> bytes:
    """In sh but for the operations that need more: libvirt calls it six times in a trip."""
    words = " ".join(
        quoted(word) for word in (*python("uuidfs.localmigration.peer_hook"), directory)
    )
    owner = " ".join(map(str, guest.owner))
    needed = guest.tpm_state is not None or guest.facts.shares
    start = f"{words} start {owner}" if needed else "true"
    return f"""#!/bin/sh
case $2 in
migrate) exec {words} migrate ;;
start) exec {start} ;;
prepare)
    name=$(cat {quoted(directory)}/{peer_hook.NAME})
    [ "$1" = "$name" ] && exit 0
    echo "uuidfs: {directory} starts no domain but the one that comes in" >&2
    exit 1
    ;;
esac
""".encode()


def _copy_cache(target: str) -> None:
    """What QEMU can do, else the peer asks it for seconds; files only, links are not followed."""
    source = opened(Place("/var/cache/libvirt/qemu/capabilities"))
    if source is None:
        return
    count, size = _CACHE
    with source, existing(Place(target)) as copy:
        for name in [name for name in source.list() if name.endswith(".xml")][:count]:
            try:
                data = source.read(name, size)
            except UuidfsError:
                continue
            if data is not None:
                write_whole(copy, name, data, mode=0o600)


def _copy_filters(target: str) -> None:
    """libvirt's network filters, all of them: one refers to others."""
    change.make_path(target)
    with existing(Place(target)) as copy:
        for name, text in look_at_host.filter_files().items():
            write_whole(copy, name, text, mode=0o600)
