"""A Linux guest that works on shared directories: Debian's kernel, and busybox as its only program.

It mounts s0, and s1 where it has that, which it expects to be read-only. It keeps files of s0
open, and says on its console, about ten times a second, what came of all that it did with them.
"""

import gzip
import re
from pathlib import Path

from tests.live.private_host import PrivateHost

IMAGES = "/var/lib/libvirt/images"
BUSYBOX = Path("/usr/bin/busybox")

# Of its open files, "gone" has no name any more. A line of the console: its number, then "ok" or
# what failed, and the sizes of both files by fstat(2).
_INIT = r"""#!/bin/busybox sh
/bin/busybox mkdir -p /dev /proc
/bin/busybox --install -s /bin
mount -t devtmpfs none /dev
mount -t proc none /proc
for tag in $(sed 's/.*shares=//; s/ .*//; s/,/ /g' /proc/cmdline); do
    mkdir /$tag
    mount -t virtiofs $tag /$tag || echo "no share $tag"
done
mkdir -p /s0/sub
exec 3>>/s0/open
exec 4>>/s0/gone
rm /s0/gone
n=0
while :; do
    n=$((n + 1))
    failed=
    echo "line $n" >&3 || failed=$failed,open
    echo "line $n" >&4 || failed=$failed,gone
    echo $n >/s0/sub/$((n % 20)) || failed=$failed,create
    [ "$(cat /s0/sub/$((n % 20)))" = $n ] || failed=$failed,read
    if [ -d /s1 ]; then
        [ "$(cat /s1/said)" = hello ] || failed=$failed,said
        ! touch /s1/mine 2>/dev/null || failed=$failed,written
    fi
    sizes="$(stat -L -c %s /proc/$$/fd/3) $(stat -L -c %s /proc/$$/fd/4)"
    echo "L $n ${failed:-ok} $sizes"
    usleep 50000
done
"""


def kernel() -> Path | None:
    """Debian's kernel for clouds, which has virtiofs built in; None where there is none."""
    return max(Path("/boot").glob("vmlinuz-*-cloud-*"), default=None)


def initrd() -> bytes:
    """An archive of cpio(5)'s new format."""
    parts = (
        ("bin", 0o40755, b""),
        ("bin/busybox", 0o100755, BUSYBOX.read_bytes()),
        ("init", 0o100755, _INIT.encode()),
        ("TRAILER!!!", 0, b""),
    )
    made = b""
    for number, (name, mode, data) in enumerate(parts):
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        made += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        made += b"\0" * (-len(made) % 4) + data
        made += b"\0" * (-len(made) % 4)
    return gzip.compress(made, 1)


def install(host: PrivateHost) -> None:
    """Give a host the guest's kernel and its initrd."""
    found = kernel()
    assert found is not None
    for name, data in ("vmlinuz", found.read_bytes()), ("initrd", initrd()):
        path = host.path(f"{IMAGES}/{name}")
        path.write_bytes(data)
        path.chmod(0o644)


def boot(*tags: str) -> str:
    """What goes below <os> for a guest with these shares."""
    return (
        f"<kernel>{IMAGES}/vmlinuz</kernel><initrd>{IMAGES}/initrd</initrd>"
        f"<cmdline>console=ttyS0 quiet shares={','.join(tags)} </cmdline>"
    )


def said(host: PrivateHost, number: int = 1) -> list[tuple[int, str, int, int]]:
    """Each line of a guest's console: its number, what came of it, the sizes of both files."""
    try:
        text = host.path(f"{IMAGES}/{number}.console").read_text(errors="replace")
    except FileNotFoundError:
        return []
    found = re.findall(r"^L (\d+) (\S+) (\d*) (\d*)\r?$", text, re.MULTILINE)
    return [(int(n), what, int(one or -1), int(two or -1)) for n, what, one, two in found]
