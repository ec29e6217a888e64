"""The runs that the matrices disturb: a tree, a command on it, and how it has to end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.harness import Command, run, uuidfs
from tests.support.hook import hook, hook_tools
from tests.support.libvirt import libvirt_domrename, libvirt_save, virtlogd_rollover
from tests.support.trees import Host, build, domain_xml, sample, snapshot_xml
from tests.support.truth import Fact, facts, unconverted

NO_EXCHANGE = "renameat2:error=EINVAL"
HOOKED = "vm0000"
_RENAMED = "vm0001", "renamed"


@dataclass(frozen=True)
class Scenario:
    """``bindings`` are the names whose files have to be links in the end (or, when not
    ``converted``, plain files); ``moved`` are name paths that the run itself renames,
    ``dropped`` those of a name that has lost: they are not there in the end."""

    name: str
    template: Path
    command: Callable[[Path], Command]
    bindings: Mapping[str, str]
    converted: bool = True
    moved: Mapping[str, str] = field(default_factory=dict)
    dropped: frozenset[str] = frozenset()
    hook: bool = False
    repair: bool = False

    def truth(self, host: Host) -> dict[str, Fact]:
        """What has to survive, before the run."""
        return {rel: fact for rel, fact in facts(host).items() if rel not in self.dropped}


def first_convert(directory: Path) -> Scenario:
    """The first conversion of a plain tree."""
    tree = build(directory / "first", sample(2))
    return Scenario(
        "first", tree.host.root, lambda root: uuidfs(root, "convert", "--all"), tree.bindings
    )


def without_exchange(directory: Path) -> Scenario:
    """The first conversion on a file system without RENAME_EXCHANGE."""

    def command(root: Path) -> Command:
        plain = uuidfs(root, "convert", "--all")
        return Command(plain.argv, always=(NO_EXCHANGE,))

    tree = build(directory / "without-exchange", sample(2))
    return Scenario("without exchange", tree.host.root, command, tree.bindings)


def mixed(directory: Path) -> Scenario:
    """A converted tree in which libvirt and virtlogd have been at work since."""
    scenario, _ = _mixed(directory)
    return scenario


def mixed_without_exchange(directory: Path) -> Scenario:
    """The same, on a file system without RENAME_EXCHANGE."""
    scenario, _ = _mixed(directory)

    def command(root: Path) -> Command:
        return Command(scenario.command(root).argv, always=(NO_EXCHANGE,))

    return Scenario(
        "mixed without exchange",
        scenario.template,
        command,
        scenario.bindings,
        moved=scenario.moved,
    )


def _mixed(directory: Path) -> tuple[Scenario, Host]:
    tree = build(directory / "mixed", sample(3))
    host, bindings = tree.host, dict(tree.bindings)
    old, new = _RENAMED
    (host.checkpoint / old).mkdir()
    libvirt_save(
        host.checkpoint / old / "moved.xml",
        snapshot_xml("moved", old, bindings[old], "domaincheckpoint"),
    )
    # A share, whose helper has a log.
    shares = domain_xml(old, bindings[old]).replace(b"<devices>", b"<devices><!-- virtiofs -->")
    libvirt_save(host.config_of(old), shares)
    for rotation in ("", ".0"):
        host.log_of(f"{old}-fs0-virtiofsd", rotation).write_text(f"virtiofsd{rotation}")
    _convert(host.root)
    # A rewritten config, a rewritten and a new snapshot, one deleted.
    uuid = bindings["vm0000"]
    libvirt_save(host.config_of("vm0000"), domain_xml("vm0000", uuid, "edited"))
    libvirt_save(host.snapshot / "vm0000/base.xml", snapshot_xml("base", "vm0000", uuid) + b"\n")
    libvirt_save(host.snapshot / "vm0000/new.xml", snapshot_xml("new", "vm0000", uuid))
    (host.snapshot / "vm0000/before upgrade.xml").unlink()
    # Two rollovers of one log since the last look; one log falls off the end.
    for number in range(2):
        virtlogd_rollover(host, "vm0002", f"{bindings['vm0002']} rolled {number}\n".encode())
    # A renamed domain whose checkpoints libvirt misfiled.
    libvirt_domrename(host, old, new)
    bindings[new] = bindings.pop(old)
    lib, log = "var/lib/libvirt/qemu", "var/log/libvirt/qemu"
    moved = {
        f"{log}/{path.name}": f"{log}/{new}{path.name[len(old) :]}"
        for path in sorted(host.log.glob(f"{old}[.-]*log*"))
    }
    moved[f"{lib}/snapshot/{new}/moved.xml"] = f"{lib}/checkpoint/{new}/moved.xml"
    todo = unconverted(host, bindings)
    if todo != {"vm0000", "vm0002", new}:
        raise AssertionError(f"the tree could not be prepared: only {todo} need converting")
    scenario = Scenario(
        "mixed", host.root, lambda root: uuidfs(root, "convert", "--all"), bindings, moved=moved
    )
    return scenario, host


def repaired(directory: Path) -> Scenario:
    """check --repair of the same."""
    scenario, _ = _mixed(directory)
    return Scenario(
        "repair",
        scenario.template,
        lambda root: uuidfs(root, "check", "--repair"),
        scenario.bindings,
        moved=scenario.moved,
        repair=True,
    )


def settled(directory: Path) -> Scenario:
    """check --repair of a rename that was cut in half: both configs are there."""
    tree = build(directory / "settled", sample(2))
    host, bindings = tree.host, dict(tree.bindings)
    _convert(host.root)
    old, new = _RENAMED
    libvirt_domrename(host, old, new, steps=4, misfile=False)
    bindings[new] = bindings.pop(old)
    log = "var/log/libvirt/qemu"
    moved = {
        f"{log}/{path.name}": f"{log}/{new}{path.name[len(old) :]}"
        for path in sorted(host.log.glob(f"{old}.log*"))
    }
    dropped = frozenset(
        rel
        for rel in facts(host)
        if rel == f"etc/libvirt/qemu/{old}.xml"
        or rel.startswith(
            (f"var/lib/libvirt/qemu/snapshot/{old}/", f"var/lib/libvirt/qemu/checkpoint/{old}/")
        )
    )
    return Scenario(
        "settle",
        host.root,
        lambda root: uuidfs(root, "check", "--repair"),
        bindings,
        moved=moved,
        dropped=dropped,
        repair=True,
    )


def reverted(directory: Path) -> Scenario:
    """The way back."""
    tree = build(directory / "revert", sample(2))
    _convert(tree.host.root)
    return Scenario(
        "revert",
        tree.host.root,
        lambda root: uuidfs(root, "revert", "--all"),
        tree.bindings,
        converted=False,
    )


def hooked(directory: Path) -> Scenario:
    """The hook at a domain's start; only that domain is converted."""
    tree = build(directory / "hook", sample(2))
    tools = hook_tools(directory / "tools")
    return Scenario(
        "hook",
        tree.host.root,
        lambda root: hook(root, tools, HOOKED, tree.bindings[HOOKED]),
        {HOOKED: tree.bindings[HOOKED]},
        hook=True,
    )


def _convert(root: Path) -> None:
    done = run(uuidfs(root, "convert", "--all"))
    if done.code != 0:
        raise AssertionError(f"the tree could not be prepared: {done}")
