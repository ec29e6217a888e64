"""Where the command begins: what upgrades and boots run goes without typer, the rest to it.

typer 0.29 brings pydantic, and both need 0.2 s to import: longer than converting a hundred
domains. ``uuidfs [--root DIR] convert --all`` away from a terminal is what ten thousand hosts
run at each upgrade, libvirt waits for ``uuidfs check --repair`` at boot, and monitoring runs
``uuidfs check`` all day. :mod:`uuidfs.cli` knows all the rest, and gives the same results for
these.
"""

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from uuidfs.cli.output import (
    carry_out,
    configured,
    cpus,
    draws,
    guarded,
    known_checkpoints,
    rooted,
    say,
    starts_once,
)
from uuidfs.layout.connections import system
from uuidfs.layout.places import Layout

if TYPE_CHECKING:
    from uuidfs.firmware.results import FirmwareRun
    from uuidfs.settings_keys import Configuration


def main() -> NoReturn:
    """Run the command line and exit with a documented code; never with a traceback."""
    _be_utf8()
    root, words = whole_tree(sys.argv[1:])
    if words in (["check"], ["check", "--repair"]):
        guarded(lambda: _check(root, repair_wanted="--repair" in words))
    if words == ["convert", "--all"] and not draws():  # else typer's progress bar
        guarded(lambda: _convert_all(root))
    from uuidfs.cli import app

    app.main()


def _be_utf8() -> None:
    """Start again in UTF-8 mode where the locale would have Python take names for another encoding.

    libvirt's names are UTF-8 whatever the locale is; "café" read as Latin-1 is no domain's name.
    """
    if sys.getfilesystemencoding().lower().replace("-", "") != "utf8" and not sys.flags.utf8_mode:
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - this very program


def whole_tree(words: Sequence[str]) -> tuple[str, list[str]]:
    """The root, "" for the host's own, and the words without it; all of them when in doubt."""
    match list(words):
        case ["--root", root, *rest] | [*rest, "--root", root] if root and "--root" not in rest:
            return root, rest
        case rest:
            return "", rest


def _convert_all(root: str) -> int:
    from uuidfs.cli.firmware import firmware_run
    from uuidfs.convert.results import Options
    from uuidfs.convert.run import convert
    from uuidfs.keepsakes.tend import keeper

    gc.disable()  # a run makes no cycles, and is over soon
    layout = _layout(root)
    options = Options(cpus=cpus(), checkpoints=known_checkpoints, starts_once=starts_once)
    mode, secrets = "renamed", True
    if found := _configured(layout, root):
        options = options._replace(lock_timeout=found.lock_timeout, kinds=found.kinds)
        mode = found.firmware
        secrets = found.keep_secrets
    options = options._replace(keeper=keeper(secrets=secrets))

    def firmware() -> "FirmwareRun | None":
        return firmware_run(
            "convert",
            layout,
            domains=None,
            mode=mode,
            dry_run=False,
            lock_timeout=options.lock_timeout,
        )

    return carry_out(convert, layout, options, firmware=firmware)


def _check(root: str, *, repair_wanted: bool) -> int:
    """The configuration is read when there is something to repair, and only then."""
    from uuidfs.check import check, repair
    from uuidfs.cli.render.status import check_lines
    from uuidfs.cli.terminal import look

    gc.disable()
    layout = _layout(root)
    result = check(layout)
    errors: list[str] = []
    if repair_wanted and (result.rivals or result.to_repair):
        from uuidfs.cli.render.runs import run_errors
        from uuidfs.convert.results import Options

        options = Options(by="check")
        if found := _configured(layout, root):
            options = options._replace(lock_timeout=found.lock_timeout)
        result, done = repair(layout, options)
        errors = run_errors(done)
    say(check_lines(result, look()), errors)
    return result.exit_code


def _layout(root: str) -> Layout:
    return rooted(root) if root else system()


def _configured(layout: Layout, root: str) -> "Configuration | None":
    return configured(layout) if os.path.lexists(f"{root}/etc/uuidfs/uuidfs.toml") else None
