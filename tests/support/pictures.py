"""The README's pictures, from a real run: ``python -m tests.support.pictures [DIRECTORY]``."""

import os
import re
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from tests.support.process import uuidfs
from tests.support.terminal import on_a_terminal
from tests.support.trees import Domain, Host, build, uuid_for

DIRECTORY = Path(__file__).resolve().parents[2] / "docs/pictures"
DOMAINS = (
    Domain("db", uuid_for("db"), log_suffixes=("",)),
    Domain("web", uuid_for("web"), log_suffixes=("", ".0"), snapshots=("nightly",)),
)
TOPS = (
    "etc/libvirt/qemu",
    "var/log/libvirt/qemu",
    "var/lib/libvirt/qemu/snapshot",
    "var/lib/libvirt/by-uuid",
)
LEFT_OUT = {"networks", "autostart", "gone.log", "~directory"}  # inodes differ in each run
WIDTH = 104


def main(directory: Path) -> None:
    """Write before.svg, after.svg and status.svg."""
    directory.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="uuidfs-pictures-") as base:
        host = build(Path(base), DOMAINS).host
        picture(directory, "before", "a plain libvirt host", *trees(host))
        run(host, "convert", "--all")
        picture(directory, "after", "uuidfs convert --all", *trees(host))
        picture(
            directory,
            "status",
            "uuidfs status",
            Text("# uuidfs status", style="bold"),
            Text.from_ansi(status(host), no_wrap=True),
        )


def run(host: Host, *words: str) -> None:
    """Run the command on the sample tree."""
    uuidfs(host.root, *words).ok()


def status(host: Host) -> str:
    """What the command prints on a terminal, without the sample tree's own root in its paths."""
    done = on_a_terminal(host.root, "status", TERM="xterm-256color").ok()
    lines = done.out.replace(os.fspath(host.root), "").splitlines()
    return "\n".join(line for line in lines if not line.startswith("unbound"))


def trees(host: Host) -> list[Tree]:
    """The directories that uuidfs works in, links with their targets."""
    return [branch(host.root / top, f"/{top}") for top in TOPS if (host.root / top).is_dir()]


def branch(path: Path, label: str) -> Tree:
    """One directory."""
    result = Tree(Text(label, style="bold blue"), guide_style="bright_black")
    for inner in sorted(path.iterdir()):
        if inner.name in LEFT_OUT:
            continue
        if inner.is_symlink():
            target = str(inner.readlink())
            result.add(Text.assemble((inner.name, "cyan"), " -> ", (target, "green")))
        elif inner.is_dir():
            result.add(branch(inner, inner.name))
        else:
            result.add(Text(inner.name))
    return result


def picture(directory: Path, name: str, title: str, *content: Text | Tree) -> None:
    """Write one of them."""
    with open(os.devnull, "w") as nowhere:
        # With a height, too: else a TERM that is "dumb" is 80 columns wide, whatever is said.
        console = Console(
            record=True,
            width=WIDTH,
            height=50,
            file=nowhere,
            color_system="truecolor",
            force_terminal=True,
        )
        for one in content:
            console.print(one)
        drawn = console.export_svg(title=title, unique_id=f"uuidfs-{name}")
    # rich names a font on a server of others: a picture asks nobody, and takes one that is there.
    drawn = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    (directory / f"{name}.svg").write_text(drawn)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else DIRECTORY)
