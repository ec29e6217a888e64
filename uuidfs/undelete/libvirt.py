"""What libvirt is asked and told while a domain comes back, by virsh."""

from uuidfs.host.virsh import virsh
from uuidfs.layout.places import Kind, Layout

_INPUT = "/dev/stdin"


def domains(layout: Layout) -> dict[str, str]:
    """The domains that libvirt knows: UUID -> name. Raises NoAnswerError."""
    told = virsh(layout, "ask which domains there are", "list", "--all", "--uuid", "--name")
    known = {}
    for line in told.split("\n"):
        uuid, _, name = line.partition(" ")
        if len(uuid) == 36:
            known[uuid] = name
    return known


def names(layout: Layout, kind: Kind, uuid: str) -> list[str]:
    """The snapshots or checkpoints that libvirt knows. Raises NoAnswerError."""
    told = virsh(layout, f"list the {kind.value}s", f"{kind.value}-list", "--name", uuid)
    return [line for line in told.split("\n") if line]


def define(layout: Layout, xml: str) -> None:
    """Define a domain. Raises NoAnswerError."""
    virsh(layout, "define the domain", "define", _INPUT, stdin=xml)


def redefine(layout: Layout, kind: Kind, uuid: str, xml: str, *, current: bool = False) -> None:
    """Give a snapshot's or checkpoint's metadata back. Raises NoAnswerError."""
    words = [f"{kind.value}-create", uuid, _INPUT, "--redefine"]
    if current:
        words.append("--current")
    virsh(layout, f"redefine a {kind.value}", *words, stdin=xml)


def autostart(layout: Layout, uuid: str) -> None:
    """Have libvirt start it by itself. Raises NoAnswerError."""
    virsh(layout, "mark the domain for autostart", "autostart", uuid)
