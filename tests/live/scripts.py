"""What people do with domains, one script per topic. Guest numbers are in guest.py."""

from tests.live import guest
from tests.live.script import Script, Step, crash, put, reload, restart, shell, virsh, with_xml


def define(name: str, number: int, *, memory: int = 16, extra: str = "") -> Step:
    """Define guest ``number``."""
    return with_xml(guest.domain(name, number, memory=memory, extra=extra), "define", "FILE")


def create(name: str, number: int) -> Step:
    """Start guest ``number`` as a transient domain."""
    return with_xml(guest.domain(name, number), "create", "FILE")


def redefine_checkpoint(domain: str, name: str, parent: str | None = None) -> Step:
    """Tell libvirt of a checkpoint."""
    text = guest.checkpoint(name, parent)
    return with_xml(text, "checkpoint-create", domain, "FILE", "--redefine")


def autostart_once() -> Step:
    """virsh autostart --once, where there is one (libvirt 11)."""
    return shell("if virsh help autostart | grep -q -e --once; then virsh autostart a --once; fi")


LIFE = Script(
    "life",
    (
        define("a", 1),
        virsh("start", "a"),
        virsh("setmem", "a", "12MiB", "--config"),
        virsh("edit", "a", edit="s/<on_crash>destroy/<on_crash>restart/"),
        virsh("edit", "a", edit="s/nothing/at all/"),
        virsh("edit", "a", edit="s/<name>a</<name>z</"),
        virsh("autostart", "a"),
        virsh("suspend", "a"),
        virsh("resume", "a"),
        virsh("destroy", "a"),
        define("a", 1, memory=20),
        autostart_once(),
        virsh("autostart", "a", "--disable"),
        virsh("autostart", "a"),
        virsh("start", "a"),
        crash(),
        virsh("destroy", "a"),
        virsh("undefine", "a"),
        virsh("start", "a"),
    ),
    same_logs=True,
)

RENAME = Script(
    "rename",
    (
        define("a", 1),
        virsh("snapshot-create-as", "a", "s1"),
        virsh("autostart", "a"),
        virsh("start", "a"),
        virsh("domrename", "a", "b"),
        virsh("snapshot-create-as", "a", "s2"),
        virsh("destroy", "a"),
        virsh("domrename", "a", "b"),
        virsh("start", "b"),
        virsh("snapshot-create-as", "b", "s3"),
        virsh("destroy", "b"),
        virsh("domrename", "b", "a"),
        virsh("snapshot-revert", "a", "s2"),
        virsh("destroy", "a"),
        virsh("snapshot-delete", "a", "s1"),
        virsh("domrename", "a", "a"),
    ),
)

SWAP = Script(
    "swap of two names",
    (
        define("a", 1),
        define("b", 2),
        virsh("snapshot-create-as", "a", "s"),
        virsh("snapshot-create-as", "b", "s"),
        virsh("autostart", "b"),
        virsh("domrename", "a", "b"),
        virsh("domrename", "a", "t"),
        virsh("domrename", "b", "a"),
        virsh("domrename", "t", "b"),
        virsh("start", "a"),
        virsh("start", "b"),
        virsh("snapshot-create-as", "a", "s2"),
        virsh("destroy", "a"),
        virsh("destroy", "b"),
        virsh("snapshot-delete", "b", "s"),
    ),
)

RENAME_WITHOUT_STOPS = Script(
    "several renames between two looks of uuidfs",
    (
        define("a", 1),
        define("b", 2),
        virsh("snapshot-create-as", "a", "s"),
        virsh("start", "b"),
        virsh("destroy", "b"),
        shell("virsh domrename a t && virsh domrename b a && virsh domrename t b"),
        shell("virsh start a && virsh start b && virsh destroy a && virsh destroy b"),
        shell("virsh domrename a t && virsh domrename b a && virsh domrename t b"),
        shell("virsh domrename a c && virsh domrename c d && virsh domrename d a"),
        shell("virsh undefine b && virsh domrename a b --domain a --new-name b"),
        shell("virsh domrename a b; virsh snapshot-create-as b s2; virsh domrename b a"),
        with_xml(guest.domain("b", 3), "define", "FILE"),
        virsh("start", "b"),
    ),
)

OLD_NAME = Script(
    "a new domain under an old name",
    (
        define("a", 1),
        virsh("snapshot-create-as", "a", "s"),
        virsh("start", "a"),
        virsh("destroy", "a"),
        virsh("domrename", "a", "c"),
        define("a", 2),
        virsh("start", "a"),
        virsh("start", "c"),
        virsh("snapshot-create-as", "a", "s"),
        virsh("destroy", "a"),
        virsh("undefine", "a", "--snapshots-metadata"),
        define("a", 3),
        virsh("start", "a"),
        virsh("destroy", "a"),
        virsh("undefine", "a"),
        virsh("destroy", "c"),
        virsh("domrename", "c", "a"),
        virsh("start", "a"),
    ),
)

_PFLASH = (
    "<loader readonly='yes' type='pflash'>/var/lib/libvirt/images/code.fd</loader>"
    "<nvram>/var/lib/libvirt/qemu/nvram/a_VARS.fd</nvram>"
)

UNDEFINE = Script(
    "undefine",
    (
        define("a", 1),
        virsh("autostart", "a"),
        virsh("snapshot-create-as", "a", "s"),
        virsh("undefine", "a"),
        virsh("undefine", "a", "--snapshots-metadata"),
        define("a", 1),
        virsh("start", "a"),
        virsh("autostart", "a"),
        virsh("undefine", "a"),
        virsh("snapshot-create-as", "a", "of a transient one"),
        define("a", 1),
        virsh("undefine", "a"),
        virsh("destroy", "a"),
        put("/var/lib/libvirt/images/code.fd", "code"),
        define("a", 1, extra=_PFLASH),
        put("/var/lib/libvirt/qemu/nvram/a_VARS.fd", "variables"),
        virsh("undefine", "a"),
        virsh("undefine", "a", "--keep-nvram"),
        define("a", 1, extra=_PFLASH),
        virsh("undefine", "a", "--nvram"),
        shell("ls /var/lib/libvirt/qemu/nvram"),
        define("a", 1),
        virsh("undefine", "a", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata"),
    ),
    same_logs=True,
)

TRANSIENT = Script(
    "transient domains",
    (
        create("a", 1),
        virsh("snapshot-create-as", "a", "s"),
        virsh("autostart", "a"),
        create("a", 2),
        virsh("destroy", "a"),
        create("a", 2),
        define("a", 2),
        virsh("destroy", "a"),
        virsh("domrename", "a", "b"),
        create("a", 3),
        virsh("start", "b"),
        virsh("undefine", "b"),
        virsh("destroy", "b"),
        virsh("destroy", "a"),
    ),
)

REFUSALS = Script(
    "what libvirt refuses",
    (
        define("a", 1),
        define("b", 2),
        define("a", 2),
        define("c", 1),
        virsh("domrename", "a", "b"),
        virsh("domrename", "a", "x/y"),
        virsh("domrename", "a", "n" * 251),
        virsh("start", "c"),
        virsh("undefine", "c"),
        virsh("snapshot-create-as", "a", "x/y"),
        virsh("snapshot-delete", "a", "none"),
        virsh("checkpoint-delete", "a", "none"),
        with_xml("<domain><broken>", "define", "FILE"),
        shell("rm /var/lib/libvirt/images/1.qcow2"),
        virsh("start", "a"),
        virsh("undefine", "a"),
    ),
)

LOGS = Script(
    "logs",
    (
        define("a", 1),
        virsh("start", "a"),
        virsh("destroy", "a", "--remove-logs"),
        virsh("start", "a"),
        virsh("destroy", "a"),
        virsh("start", "a"),
        virsh("destroy", "a", "--remove-logs"),
        virsh("undefine", "a"),
        define("a", 1),
        virsh("start", "a"),
    ),
    same_logs=True,
)

DROPPED_FILES = Script(
    "files that people drop",
    (
        define("a", 1),
        put("/etc/libvirt/qemu/b.xml", guest.domain("b", 2)),
        reload(),
        virsh("start", "b"),
        put("/etc/libvirt/qemu/c.xml", guest.domain("c", 3)),
        restart(),
        shell("ln -s /etc/libvirt/qemu/c.xml /etc/libvirt/qemu/autostart/c.xml"),
        restart(),
        virsh("destroy", "b"),
        shell("rm /etc/libvirt/qemu/b.xml"),
        restart(),
        put("/etc/libvirt/qemu/a.xml", guest.domain("a", 1, memory=24)),
        restart(),
        virsh("undefine", "c"),
    ),
)
