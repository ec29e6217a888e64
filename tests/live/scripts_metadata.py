"""Scripts about snapshots, checkpoints and managed saves."""

from tests.live.script import Script, shell, virsh
from tests.live.scripts import define, redefine_checkpoint

SNAPSHOTS = Script(
    "internal snapshots",
    (
        define("a", 1),
        virsh("snapshot-create-as", "a", "off"),
        virsh("start", "a"),
        virsh("snapshot-create-as", "a", "on", "a description"),
        virsh("snapshot-create-as", "a", ".-odd näme"),
        virsh("snapshot-edit", "a", "on", edit="s/a description/another/"),
        virsh("snapshot-current", "a", "on"),
        virsh("snapshot-create-as", "a", "leaf"),
        virsh("snapshot-revert", "a", "off"),
        virsh("snapshot-revert", "a", "on"),
        virsh("snapshot-edit", "a", "on", "--rename", edit="s/<name>on</<name>renamed</"),
        virsh("snapshot-delete", "a", ".-odd näme"),
        virsh("snapshot-delete", "a", "leaf", "--metadata"),
        shell(
            "virsh snapshot-dumpxml a off > /run/s.xml && virsh snapshot-delete a off --metadata"
            " && virsh snapshot-create a /run/s.xml --redefine --current"
        ),
        virsh("destroy", "a"),
        virsh("undefine", "a"),
        virsh("snapshot-delete", "a", "off", "--children"),
        virsh("snapshot-delete", "a", "renamed", "--metadata"),
        virsh("undefine", "a"),
    ),
    same_logs=True,
)

EXTERNAL = Script(
    "external snapshots",
    (
        define("a", 1),
        virsh("start", "a"),
        virsh("snapshot-create-as", "a", "one", "--disk-only"),
        virsh("snapshot-create-as", "a", "two", "--disk-only"),
        virsh("blockcommit", "a", "vda", "--active", "--pivot", "--wait"),
        virsh("snapshot-delete", "a", "two"),
        virsh("snapshot-delete", "a", "two", "--metadata"),
        virsh("destroy", "a"),
        virsh("snapshot-revert", "a", "one"),
        virsh("undefine", "a", "--snapshots-metadata"),
    ),
    same_logs=True,
)

CHECKPOINTS = Script(
    "checkpoints",
    (
        define("a", 1),
        redefine_checkpoint("a", "c1"),
        redefine_checkpoint("a", "c2", "c1"),
        virsh("checkpoint-delete", "a", "c1", "--metadata"),
        virsh("start", "a"),
        virsh("checkpoint-create-as", "a", "live"),
        virsh("checkpoint-edit", "a", "live", edit="s/<disks>/<description>x<\\/description>&/"),
        virsh("checkpoint-delete", "a", "live"),
        virsh("snapshot-create-as", "a", "refused"),
        virsh("destroy", "a"),
        redefine_checkpoint("a", "c3", "c2"),
        virsh("undefine", "a"),
        virsh("undefine", "a", "--checkpoints-metadata"),
        define("a", 1),
    ),
    same_logs=True,
)

MANAGED_SAVE = Script(
    "managed save",
    (
        define("a", 1),
        virsh("start", "a"),
        virsh("managedsave", "a"),
        virsh("domrename", "a", "b"),
        virsh("undefine", "a"),
        virsh("start", "a"),
        virsh("managedsave", "a"),
        virsh("managedsave-edit", "a", edit="s/<on_crash>destroy/<on_crash>restart/"),
        virsh("managedsave-remove", "a"),
        virsh("start", "a"),
        virsh("save", "a", "/var/lib/libvirt/images/saved"),
        virsh("restore", "/var/lib/libvirt/images/saved"),
        virsh("managedsave", "a"),
        virsh("undefine", "a", "--managed-save"),
        define("a", 1),
    ),
    same_logs=True,
)
