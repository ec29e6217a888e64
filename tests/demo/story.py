"""The scenes of the demo."""

import shlex
from collections.abc import Sequence
from typing import NamedTuple

from tests.demo import stage
from tests.demo.hosts import Demonstrated
from tests.demo.real import Real, can_move
from tests.support.trees import uuid_for

FIRST = uuid_for("web")[:8]  # the domain that is called shop later


class Pair(NamedTuple):
    """The two hosts."""

    plain: Demonstrated
    ours: Demonstrated


def play(pair: Pair) -> None:
    """Everything, in the order in which one thing leads to the next."""
    convert(pair)
    with pair.ours.reconciler():
        rename(pair)
        history(pair)
        mishap(pair)
        if isinstance(pair.plain, Real) and isinstance(pair.ours, Real):
            live(pair.plain, pair.ours)
        check(pair.ours)
    revert(pair)


def uuidfs(host: Demonstrated, *words: str) -> None:
    """Type a command on the host with uuidfs, and show what it says."""
    stage.command(f"uuidfs {shlex.join(words)}")
    done = host.uuidfs(*words).ok()
    stage.said(done.out)


def convert(pair: Pair) -> None:
    """The layout, before and after."""
    stage.title("Files named by UUID, and the old names as links")
    stage.command("uuidfs convert --all")
    if isinstance(pair.ours, Real):
        pair.ours.install_hook()
    pair.ours.uuidfs("convert", "--all").ok()
    trees(pair)
    stage.remark("libvirt opens the links and notices nothing. db runs meanwhile.")


def trees(pair: Pair) -> None:
    """The configs and the logs."""
    configs = [host.tree("config") for host in pair]
    rows = max(len(one) for one in configs)
    for one, host in zip(configs, pair, strict=True):
        one.extend([[]] * (rows - len(one)) + host.tree("log"))
    stage.columns(*configs)


def rename(pair: Pair) -> None:
    """What a rename, and a new domain under the old name, do."""
    stage.title("A rename, and a new domain under the old name")
    stage.command(
        "virsh domrename web shop; virsh start shop",
        "virsh define another.xml; virsh start web     # a new domain, called web",
    )
    for host in pair:
        host.rename("web", "shop")
    pair.ours.settled()
    for host in pair:
        host.run_once("shop")
        host.define_and_start("web")
    pair.ours.settled()
    stage.columns(logs(pair.plain), logs(pair.ours))
    stage.command("systemctl restart libvirtd; virsh checkpoint-list shop")
    for host in pair:
        host.restart()
    stage.columns(*([listed(host.checkpoints("shop"), "none: it is lost")] for host in pair))


def logs(host: Demonstrated) -> list[stage.Line]:
    """Whose starts the logs tell of."""
    lines: list[stage.Line] = []
    for name in ("shop", "web"):
        starts = host.starts(name)
        lines.append([(f"{name}.log", "cyan")])
        for one in starts:
            strange = (one.uuid == FIRST) != (name == "shop")
            colour = "red" if strange else "green" if one.uuid == FIRST else ""
            remark = " ← a stranger" if strange else ""
            lines.append([(f"  {one.uuid}… starts as {one.name}{remark}", colour)])
    return lines


def listed(found: Sequence[str], otherwise: str) -> stage.Line:
    """What a command lists, or that it lists nothing."""
    return [(" ".join(found), "green")] if found else [(otherwise, "red")]


def history(pair: Pair) -> None:
    """One log and one life, under both names."""
    stage.title("One life under two names")
    uuidfs(pair.ours, "log", "shop", "--grep", "guest=")
    uuidfs(pair.ours, "history", "shop")


def mishap(pair: Pair) -> None:
    """A domain is undefined by mistake."""
    stage.title("A mishap: the wrong domain is undefined. Its undo")
    stage.command("virsh undefine shop --checkpoints-metadata")
    for host in pair:
        host.undefine("shop")
    pair.ours.settled()
    if isinstance(pair.ours, Real):
        uuidfs(pair.ours, "undelete")
        uuidfs(pair.ours, "undelete", "shop")
    else:
        uuidfs(pair.ours, "trash", "list")
        for each in trashed(pair.ours):
            uuidfs(pair.ours, "trash", "restore", each)
        pair.ours.restart()
        stage.remark("Where libvirt runs, `uuidfs undelete shop` does all of this at once.")
    stage.command("virsh list --all --name; virsh checkpoint-list shop")
    stage.columns(*(survivors(host) for host in pair))


def trashed(host: Demonstrated) -> list[str]:
    """What is in the trash, the config first."""
    found = host.uuidfs("trash", "list", "--json").ok().json["entries"]
    return [str(each["id"]) for each in sorted(found, key=lambda each: each["kind"] != "config")]


def survivors(host: Demonstrated) -> list[stage.Line]:
    """What is left of shop."""
    if "shop" not in host.names():
        return [[(" ".join(host.names()), "")], [("shop is gone", "red")]]
    names: stage.Line = [(f"{each} ", "green" if each == "shop" else "") for each in host.names()]
    return [names, listed(host.checkpoints("shop"), "none")]


def live(plain: Real, ours: Real) -> None:
    """A guest is renamed while it runs, and counts."""
    stage.title("A guest that runs, and counts, gets another name")
    stage.command("virsh domrename db orders")
    refusal = plain.virsh("domrename", "db", "orders").err.strip().rpartition(": ")[2]
    stage.said(refusal, "red")
    if not can_move():
        stage.remark("uuidfs renames it, where python3-libvirt is installed; it is not here.")
        return
    pid, count = ours.pid("db"), ours.counted()
    uuidfs(ours, "rename", "db", "orders", "--live")
    after, gaps = ours.counted(), ours.gaps()
    lines = [
        f"db counted to {count} in the QEMU process {pid},",
        f"orders counts on to {after} in the QEMU process {ours.pid('orders')}.",
    ]
    stage.remark(*lines, *(["No number is missing, and none came twice."] if gaps == {1} else []))


def check(ours: Demonstrated) -> None:
    """All is well."""
    stage.title("Is all well?")
    ours.settled()
    uuidfs(ours, "check")
    stage.remark("Exit code 0: each name leads to its own domain's file.")


def revert(pair: Pair) -> None:
    """libvirt's own layout again."""
    stage.title("And back: libvirt's own layout, exactly")
    if isinstance(pair.ours, Real):
        stage.command("systemctl disable --now uuidfs")  # the reconciler has ended by now
        uuidfs(pair.ours, "hook", "remove")
    stage.command("uuidfs revert --all")
    pair.ours.uuidfs("revert", "--all").ok()
    trees(pair)
