"""Whoever broke out of QEMU cannot lead root anywhere, and learns nothing from a trip.

QEMU's user owns /var/lib/libvirt/qemu and what is directly in it, on the host and in the peer,
which it sees through /proc/PID/root. What it plants here is planted at fixed points of a trip.
"""

import pwd
import socket
import subprocess
from pathlib import Path

import pytest

from tests.live import guest
from tests.live.migration import (
    SESSIONS,
    UUID,
    at_home,
    counts,
    leftovers,
    prepare,
    uuidfs,
    went_on,
)
from tests.live.planned import HOME, OUT, before, killed, uuidfs_at
from tests.live.private_host import ENVIRONMENT, PrivateHost
from tests.support.process import wait_for
from uuidfs.localmigration import hop_sockets

PEER = f"{SESSIONS}/peer-{UUID}"
LIB = "/var/lib/libvirt/qemu"
QEMU_IN_PEER = f"$(cat {PEER}/run/qemu/a-incoming.pid)"
DAEMON_IN_PEER = f"$(cat {PEER}/peer.pid)"
SECRET = "hunter2hunter2"
READABLE = "/etc/libvirt /run /var/cache/libvirt /var/lib/libvirt /var/log/libvirt"


@pytest.fixture(autouse=True)
def _able(ready: PrivateHost) -> None:
    """The hook, and libvirt-python."""


def as_user(user: str) -> str:
    """The words that run a program as a user, with that user's groups only."""
    found = pwd.getpwnam(user)
    return f"setpriv --reuid {found.pw_uid} --regid {found.pw_gid} --clear-groups"


def qemu_user() -> str:
    """Whoever owns libvirt's directory here."""
    return Path(LIB).owner()


def text(host: PrivateHost, path: str) -> str:
    """What a command of a plan has written."""
    return host.path(path).read_text()


def test_a_link_planted_in_the_peer_is_no_place_to_mount(host: PrivateHost) -> None:
    """Helper and daemon are killed, and the guest's QEMU changes what a new daemon finds."""
    prepare(host)
    host.run("mkdir", "-p", "-m", "700", "/run/victim").ok()
    away = uuidfs_at(host, [killed("hop.move", HOME)], "local-migrate", "a")
    assert away.code == -9, away
    host.run("sh", "-c", f"kill -KILL {DAEMON_IN_PEER}").ok()
    plant = f"cd /proc/{QEMU_IN_PEER}/root{LIB} && mv nvram away; ln -s /run/victim nvram"
    planted = host.run("sh", "-c", plant)
    inside = f"{PEER}/lib/nvram"
    if not host.path(inside).is_symlink():  # it is mounted there
        host.run("sh", "-c", f"rm -rf {inside} && ln -s /run/victim {inside}").ok()
    assert host.path(inside).is_symlink(), planted
    look = f"cat /proc/{DAEMON_IN_PEER}/mountinfo >/run/mounts"
    uuidfs_at(host, [before("hop.move", look)], "local-migrate", "--recover").ok()
    assert f" {LIB} " in text(host, "/run/mounts"), "that was the peer's namespace"
    assert "victim" not in text(host, "/run/mounts")
    at_home(host)
    went_on(counts(host))


def test_a_link_in_the_place_of_the_hosts_nvram(host: PrivateHost) -> None:
    """What it points at is not to be seen in the peer, where QEMU's user could enter it."""
    prepare(host)
    plant = f"mkdir -m 700 /run/secret && touch /run/secret/{SECRET} && cd {LIB} && rm -rf nvram"
    host.run("sh", "-c", f"{plant} && ln -s /run/secret nvram").ok()
    look = f"ls -R {PEER}/lib /proc/{QEMU_IN_PEER}/root{LIB}/ >/run/seen 2>&1"
    said = uuidfs_at(host, [before("hop.move", look, HOME)], "local-migrate", "a")
    assert said.code == 0 or (said.code == 1 and f"{LIB}/nvram" in said.err), said
    if host.path("/run/seen").exists():
        assert SECRET not in text(host, "/run/seen")
    host.path(f"{LIB}/nvram").unlink()
    at_home(host)


SWAP = """
import os, sys
names = sys.argv[1:]
while True:
    for name in names:
        try:
            if not os.path.islink(name):
                os.rename(name, name + ".old")
                os.symlink("/run/evil/sock", name)
        except OSError:
            pass
"""


def test_links_in_the_directory_of_the_hops_sockets(host: PrivateHost) -> None:
    """Root's daemons connect to nobody but the guest's process: the guest's memory is in it."""
    prepare(host)
    host.run("mkdir", "-m", "700", "/run/evil").ok()
    sockets = [
        hop_sockets.path_of(UUID, number, name) for number, name in ((1, "a-incoming"), (2, "a"))
    ]
    words = [*as_user(qemu_user()).split(), "/usr/bin/python3", "-c", SWAP, *map(str, sockets)]
    with socket.socket(socket.AF_UNIX) as evil:
        evil.bind(str(host.path("/run/evil/sock")))
        evil.listen()
        evil.setblocking(False)
        swapping = subprocess.Popen(host.inside(*words), env=ENVIRONMENT)
        try:
            said = uuidfs(host, "local-migrate", "a")
        finally:
            swapping.kill()
            swapping.wait()
        with pytest.raises(BlockingIOError):  # nobody came
            evil.accept()
    print(said)
    if leftovers(host):
        uuidfs(host, "local-migrate", "--recover").ok()
    at_home(host)
    went_on(counts(host))


def test_the_kernel_follows_no_link_there(host: PrivateHost) -> None:
    prepare(host)
    directory = hop_sockets.directory_of(UUID)
    plant = f"ln -s /etc/passwd {directory}/link; cat {directory}/link >/run/seen 2>&1"
    plan = [before("hop.move", f"{plant}; stat -c %a:%U {directory} >>/run/seen; true", OUT)]
    uuidfs_at(host, plan, "local-migrate", "a").ok()
    assert "Too many levels of symbolic links" in text(host, "/run/seen")
    assert f"700:{qemu_user()}" in text(host, "/run/seen")
    at_home(host)


def test_the_sockets_have_the_label_of_libvirts_own(host: PrivateHost) -> None:
    """SELinux lets QEMU make none in a tmpfs as it is mounted. Here it is off: labels are names."""
    prepare(host)
    label = "system_u:object_r:qemu_var_run_t:s0"
    host.run("setfattr", "-n", "security.selinux", "-v", label, "/run/libvirt/qemu").ok()
    look = f"getfattr --only-values -n security.selinux {hop_sockets.directory_of(UUID)} >/run/seen"
    uuidfs_at(host, [before("hop.move", look, OUT)], "local-migrate", "a").ok()
    assert text(host, "/run/seen").rstrip("\0") == label
    at_home(host)


def test_links_among_what_qemu_can_do(host: PrivateHost) -> None:
    """The peer gets a copy of libvirt's cache, which belongs to QEMU's user."""
    prepare(host)
    cache = host.path("/var/cache/libvirt/qemu/capabilities")
    secret = host.path("/run/secret")
    secret.write_text(SECRET)
    secret.chmod(0o600)
    (cache / "planted.xml").symlink_to("/run/secret")
    (cache / "loop.xml").symlink_to("loop.xml")
    host.run("mkfifo", "/var/cache/libvirt/qemu/capabilities/pipe.xml").ok()
    look = (
        f"ls {PEER}/cache/qemu/capabilities >/run/seen; grep -r {SECRET} {PEER}/cache >>/run/seen"
    )
    uuidfs_at(host, [before("hop.move", f"{look}; true", HOME)], "local-migrate", "a").ok()
    seen = text(host, "/run/seen")
    assert ".xml" in seen, "the rest is there"
    assert SECRET not in seen
    assert "planted" not in seen
    at_home(host)


def test_a_process_with_the_peers_name(host: PrivateHost) -> None:
    prepare(host)
    named = [*as_user("nobody").split(), "bash", "-c", f"exec -a {PEER} sleep 600"]
    with subprocess.Popen(host.inside(*named), env=ENVIRONMENT) as other:
        wait_for(lambda: PEER in host.run("ps", "-e", "-o", "args=").out, "it runs")
        said = uuidfs(host, "local-migrate", "a")
        assert other.poll() is None, "nobody has ended it"
        host.run("pkill", "-KILL", "-x", "sleep").ok()
    assert said.code == 0, said
    at_home(host)


def test_passwords_stay_with_root(host: PrivateHost) -> None:
    """Looked for at each step, by root, by anybody, and by QEMU's user from within the peer."""
    host.path("/run/a.xml").write_text(
        guest.domain("a", 1).replace(
            "</devices>",
            f"<graphics type='vnc' autoport='yes' passwd='{SECRET[:8]}'/><video/></devices>",
        )
    )
    host.virsh("define", "/run/a.xml").ok()
    uuidfs(host, "convert", "--all").ok()
    host.virsh("start", "a").ok()
    wait_for(lambda: counts(host), "the guest counts")
    find = f"grep -rlsF -D skip {SECRET[:8]} {READABLE} --exclude=a.xml --exclude-dir=images"
    open_to_others = f"grep -rlsZF -D skip {SECRET[:8]} /run /var/lib/libvirt /etc/libvirt"
    look = (
        f"{as_user('nobody')} {find} | sed 's/^/nobody /' >>/run/seen\n"
        f"{open_to_others} | xargs -0 stat -c 'root %a %n' >>/run/seen\n"
        f"find {SESSIONS} /var/lib/libvirt/by-uuid/aside -printf 'mode %m %y %p\\n' >>/run/seen\n"
        f"[ ! -e {PEER}/run/qemu/a-incoming.pid ] || nsenter -m -t {QEMU_IN_PEER} "
        f"{as_user(qemu_user())} {find} | sed 's/^/qemu /' >>/run/seen\ntrue"
    )
    points = [("interlock.check_peer", 1), ("hop.move", OUT), ("hop.unmark", 1), ("hop.move", HOME)]
    plan = [before(at, look, call) for at, call in [*points, ("set_aside.put_back", 1)]]
    uuidfs_at(host, plan, "local-migrate", "a").ok()
    seen = text(host, "/run/seen").splitlines()
    assert [line for line in seen if line.startswith(("nobody", "qemu"))] == []
    with_it = {line for line in seen if line.startswith("root") and "/run/a.xml" not in line}
    assert {line.split()[1] for line in with_it} == {"600"}, with_it
    assert f"root 600 {PEER}/home.xml" in with_it, "the test sees where it is"
    confs = {line for line in seen if line.endswith((".conf", "/live.xml"))}
    assert len(confs) >= 3
    assert {line.split()[1] for line in confs} == {"600"}, confs
    assert f"mode 700 d {PEER}" in seen
    assert not host.run(*as_user("nobody").split(), "ls", SESSIONS).out
    at_home(host)
