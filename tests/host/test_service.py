"""The units on a host: systemd and libvirt restart, reload, stop and starve them."""

import time

import pytest

from tests.host import world
from tests.host.host import Host

pytestmark = pytest.mark.host


def test_guests_go_on_while_libvirtd_is_restarted_and_the_names_stay_right(
    uuidfs_host: Host,
) -> None:
    before = world.names(uuidfs_host)["files"]
    for _ in range(3):
        uuidfs_host.do("systemctl restart libvirtd")
        # One that ends while it reconnects gives a domain up as dead, with or without us; a job of
        # the domain waits for that.
        for name in world.RUNNING:
            uuidfs_host.do(f"virsh -q domblkerror {name}")
        assert world.domains(uuidfs_host)["web"] == "running"
    world.goes_on(uuidfs_host, "web")
    uuidfs_host.until("uuidfs check")
    assert world.names(uuidfs_host)["files"] == before
    assert uuidfs_host.do("virsh -q snapshot-list web --name").split() == ["live"]
    assert uuidfs_host.do("virsh -q checkpoint-list cold --name").split() == ["c1"]
    assert world.denials(uuidfs_host) == []


def test_a_libvirtd_that_has_gone_for_want_of_work_comes_back_by_its_socket(
    uuidfs_host: Host,
) -> None:
    """Debian's unit runs libvirtd --timeout 120. It stays while a domain runs, so none does."""
    uuidfs_host.do("virsh -q destroy web; virsh -q destroy db")
    uuidfs_host.until("! systemctl is-active -q libvirtd")
    # The reconciler works without it: a file is put beside, as an editor would.
    uuidfs_host.do("cp /etc/libvirt/qemu/cold.xml /root/cold.xml")
    uuidfs_host.do("cat /root/cold.xml >/etc/libvirt/qemu/cold.xml.new")
    uuidfs_host.do("mv /etc/libvirt/qemu/cold.xml.new /etc/libvirt/qemu/cold.xml")
    uuidfs_host.until("test -L /etc/libvirt/qemu/cold.xml")
    assert uuidfs_host.run("systemctl is-active libvirtd").out.strip() != "active"
    uuidfs_host.do("virsh -q start web")  # by the socket, and with the hook
    world.goes_on(uuidfs_host, "web")
    uuidfs_host.until("uuidfs check")
    assert world.denials(uuidfs_host) == []


def test_systemd_restarts_a_reconciler_that_hangs(uuidfs_host: Host) -> None:
    """WatchdogSec is 60 s. SIGABRT does not end a stopped process, so SIGKILL follows."""
    pid = _main_pid(uuidfs_host)
    uuidfs_host.do(f"kill -STOP {pid}")
    uuidfs_host.do("virsh -q domrename vm15 renamed")
    uuidfs_host.until(f"test $(systemctl show uuidfs -p MainPID --value) != {pid}")
    uuidfs_host.until("test -L /etc/libvirt/qemu/renamed.xml && uuidfs check")
    assert uuidfs_host.do("systemctl show uuidfs -p NRestarts --value").strip() == "1"
    assert "watchdog" in uuidfs_host.do("journalctl -q --no-pager -u uuidfs").lower()


def test_a_reload_reads_the_configuration_and_keeps_the_process(uuidfs_host: Host) -> None:
    pid = _main_pid(uuidfs_host)
    toml = "/etc/uuidfs/uuidfs.toml"
    uuidfs_host.do(f'echo \'kinds = ["config", "log"]\' >{toml}; systemctl reload uuidfs')
    uuidfs_host.do("virsh -q snapshot-create-as vm18 first; virsh -q domrename vm15 renamed")
    uuidfs_host.until("test -L /etc/libvirt/qemu/renamed.xml")
    time.sleep(5)
    assert uuidfs_host.run("test -L /var/lib/libvirt/qemu/snapshot/vm18/first.xml").code
    uuidfs_host.do(f"echo 'nonsense = [' >{toml}; systemctl reload uuidfs")
    uuidfs_host.until("journalctl -q --no-pager -u uuidfs | grep action=reload")
    uuidfs_host.do(f"echo >{toml}; systemctl reload uuidfs")
    uuidfs_host.until("test -L /var/lib/libvirt/qemu/snapshot/vm18/first.xml")
    assert _main_pid(uuidfs_host) == pid, "a broken file is no reason to end"
    assert uuidfs_host.do("systemctl is-active uuidfs").strip() == "active"


def test_the_units_start_where_libvirts_directories_are_missing(uuidfs_host: Host) -> None:
    """ReadWritePaths= without "-" fails a unit, exit code 226, when a directory is not there."""
    uuidfs_host.do("systemctl stop uuidfs && mv /var/log/libvirt /var/log/libvirt.away")
    uuidfs_host.do("systemctl start uuidfs")
    assert uuidfs_host.do("systemctl is-active uuidfs").strip() == "active"
    uuidfs_host.do("systemctl start uuidfs-check")
    # It comes back, for example with libvirt's package.
    uuidfs_host.do("mv /var/log/libvirt.away /var/log/libvirt")
    uuidfs_host.do("virsh -q start vm15")
    uuidfs_host.until("test -L /var/log/libvirt/qemu/vm15.log")
    uuidfs_host.until("uuidfs check")


def test_logrotate_rotates_a_log_and_its_links_follow(uuidfs_host: Host) -> None:
    """What its timer starts, beside libvirt's own snippet, which names the same directory. The
    reconciler sees a rotation in the store at its next look at everything."""
    log = uuidfs_host.do("uuidfs path web --kind log").strip()
    uuidfs_host.do(f"head -c 3000000 /dev/zero | tr '\\0' x >>{log}")
    assert uuidfs_host.do("systemctl is-active logrotate.timer").strip() == "active"
    uuidfs_host.do("systemctl start logrotate.service && systemctl reload uuidfs")
    uuidfs_host.until("test -L /var/log/libvirt/qemu/web.log.1")
    uuidfs_host.do(f"test $(stat -c %s {log}) -lt 3000000")
    uuidfs_host.until("uuidfs check")
    world.goes_on(uuidfs_host, "web")
    assert uuidfs_host.do("systemctl --failed --no-legend --plain") == ""


def _main_pid(machine: Host) -> str:
    return machine.do("systemctl show uuidfs -p MainPID --value").strip()
