"""What a machine holds: domains that cost nothing, and what can be seen of them."""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.host.host import Host
from tests.live import guest

RUNNING = ("web", "db")  # and started at boot
COLD = "cold"  # with snapshots and a checkpoint
OTHERS = tuple(f"vm{number}" for number in range(10, 20))  # shut off; some with snapshots
ALL = {name: number for number, name in enumerate((*RUNNING, COLD), 1)} | {
    name: number for number, name in enumerate(OTHERS, 10)
}
IMAGES = "/var/lib/libvirt/images"
_SNAPSHOTS = {COLD: ("one", "two", "three")} | dict.fromkeys(OTHERS[:4], ("a", "b"))

# In the machine: what libvirt would open by name, and what it would read there.
_LOOK = """
import glob, hashlib, json, os
def read(path):
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()[:16]
    except OSError as error:
        return "! " + error.strerror
metadata = "/var/lib/libvirt/qemu/"
paths = glob.glob("/etc/libvirt/qemu/*.xml")
paths += glob.glob(metadata + "snapshot/*/*.xml") + glob.glob(metadata + "checkpoint/*/*.xml")
logs = glob.glob("/var/log/libvirt/qemu/*.log")
print(json.dumps({
    "files": {path: read(path) for path in paths},
    "logs": {path: os.path.getsize(path) for path in logs if os.path.exists(path)},
    "links": sorted(path for path in paths + logs if os.path.islink(path)),
}))
"""

# In the machine: every name below /, with what kind of thing is there. Left out is what dpkg, apt,
# daemons and the kernel write in any case.
_LIST = """
import json, os, stat
LEFT_OUT = {"/proc", "/sys", "/dev", "/tmp", "/root", "/var/lib/dpkg", "/var/lib/apt",
    "/var/cache", "/var/log/apt", "/var/log/journal", "/run/log", "/run/udev", "/run/user",
    "/run/systemd", "/run/credentials", "/var/tmp", "/run/initramfs"}
found = {}
def look(path):
    at = os.lstat(path)
    kind = [stat.filemode(at.st_mode), at.st_uid, at.st_gid]
    if stat.S_ISLNK(at.st_mode):
        kind.append(os.readlink(path))
    found[path] = kind
for top, directories, files in os.walk("/"):
    directories[:] = [d for d in directories if os.path.join(top, d) not in LEFT_OUT]
    for name in directories + files:
        try:
            look(os.path.join(top, name))
        except FileNotFoundError:
            pass
print(json.dumps(found))
"""


def populate(machine: Host) -> None:
    """Define all domains, give some of them snapshots and a checkpoint, and start two."""
    with tempfile.TemporaryDirectory() as directory:
        files = Path(directory)
        guest.make_disk_template(files)
        for name, number in ALL.items():
            (files / f"{name}.xml").write_text(guest.domain(name, number))
        (files / "checkpoint").write_text(guest.checkpoint("c1"))
        machine.put([*files.iterdir()], "/root/world")
    script = [f"cp /root/world/boot.qcow2 {IMAGES}/{number}.qcow2" for number in ALL.values()]
    script += [f"virsh -q define /root/world/{name}.xml" for name in ALL]
    for name, snapshots in _SNAPSHOTS.items():
        script += [f"virsh -q snapshot-create-as {name} {each}" for each in snapshots]
    script.append(f"virsh -q checkpoint-create {COLD} /root/world/checkpoint --redefine")
    script += [f"virsh -q autostart {name} && virsh -q start {name}" for name in RUNNING]
    script.append(f"virsh -q snapshot-create-as {RUNNING[0]} live")
    # They have no ACPI and shut down for nobody.
    script.append("printf 'SHUTDOWN_TIMEOUT=5\\n' >>/etc/default/libvirt-guests")
    machine.do("set -e\n" + "\n".join(script))


def names(machine: Host) -> dict[str, Any]:
    """What libvirt would read by name: ``files`` (path -> hash, or "! " and an error), ``logs``
    (path -> size), and which of them are ``links``."""
    return json.loads(machine.do("python3 -", data=_LOOK.encode()))  # type: ignore[no-any-return] # _LOOK's


def listing(machine: Host) -> dict[str, Any]:
    """Every name on the machine, with its kind and mode, its owner, and where a link leads."""
    return json.loads(machine.do("python3 -", data=_LIST.encode()))  # type: ignore[no-any-return] # _LIST's


def domains(machine: Host) -> dict[str, str]:
    """Name -> state, as libvirt tells: "running", "shut off", "paused"."""
    lines = machine.do("virsh -q list --all").splitlines()
    return {name: state for _, name, state in (line.split(maxsplit=2) for line in lines)}


def goes_on(machine: Host, name: str, number: int | None = None) -> None:
    """The guest prints: wait until its console has grown."""
    console = f"{IMAGES}/{number or ALL[name]}.console"
    size = machine.do(f"stat -c %s {console}").strip()
    machine.until(f"test $(stat -c %s {console}) -gt {size}")


def denials(machine: Host) -> list[str]:
    """What AppArmor has refused since the machine was installed, but for what is not ours: the
    kernel's log and the audit log."""
    said = machine.do(
        "cat /var/log/audit/audit.log* 2>/dev/null; journalctl -q --no-pager _TRANSPORT=kernel"
    )
    return sorted({line for line in said.splitlines() if 'apparmor="DENIED"' in line})
