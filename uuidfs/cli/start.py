"""Where the command begins: what package upgrades run goes without typer, the rest to it.

typer 0.29 brings pydantic, and both need 0.2 s to import: longer than converting a hundred
domains. ``uuidfs [--root DIR] convert --all`` away from a terminal is what ten thousand hosts
run at each upgrade; :mod:`uuidfs.cli` knows all the rest, and gives the same results for this.
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from uuidfs.cli.output import carry_out, configured, cpus, guarded, known_checkpoints, rooted


def main() -> NoReturn:
    """Run the command line and exit with a documented code; never with a traceback."""
    _be_utf8()
    root = whole_tree(sys.argv[1:])
    if root is None or sys.stderr.isatty():  # a terminal gets a progress bar, which is typer's
        from uuidfs.cli import app

        app.main()
    guarded(lambda: _convert_all(root))


def _be_utf8() -> None:
    """Start again in UTF-8 mode where the locale would have Python take names for another encoding.

    libvirt's names are UTF-8 whatever the locale is; "café" read as Latin-1 is no domain's name.
    """
    if sys.getfilesystemencoding().lower().replace("-", "") != "utf8" and not sys.flags.utf8_mode:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - this very program


def whole_tree(words: Sequence[str]) -> str | None:
    """The root, "" for the host's own, of exactly that command; None for anything else."""
    match list(words):
        case ["convert", "--all"]:
            return ""
        case ["--root", root, "convert", "--all"] | ["convert", "--all", "--root", root] if root:
            return root
        case _:
            return None


def _convert_all(root: str) -> int:
    from uuidfs.convert.results import Options
    from uuidfs.convert.run import convert
    from uuidfs.layout.connections import system

    gc.disable()  # a run makes no cycles, and is over soon
    layout = rooted(root) if root else system()
    options = Options(cpus=cpus(), checkpoints=known_checkpoints)
    if os.path.lexists(f"{root}/etc/uuidfs/uuidfs.toml"):
        found = configured(layout)
        options = options._replace(lock_timeout=found.lock_timeout, kinds=found.kinds)
    return carry_out(convert, layout, options)
