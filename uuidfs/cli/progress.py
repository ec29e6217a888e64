"""A progress bar on a terminal, once the work has taken a while."""

import sys
import time
from typing import TYPE_CHECKING, Any, Self

import typer

from uuidfs.cli.output import draws

if TYPE_CHECKING:
    from uuidfs.localmigration.hop import HopProgress


class HopBar:
    """A progress bar a hop."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._number = 0
        self._shown = 0

    def __call__(self, name: str, hop: "HopProgress") -> None:
        if self._bar is None or hop.number != self._number:
            self._number, self._shown = hop.number, 0
            self._bar = typer.progressbar(
                length=max(hop.total, 1),
                file=sys.stderr,
                item_show_func=lambda text: text,
                label=f"{name} {hop.way}",
            )
            self._bar.__enter__()
        done = max(0, hop.total - hop.remaining)
        text = f"{hop.transferred >> 20} MiB, {hop.remaining >> 20} MiB remain"
        if hop.downtime is not None:
            text = f"{hop.transferred >> 20} MiB, downtime {hop.downtime} ms"
            done = max(hop.total, 1)
        self._bar.update(max(0, done - self._shown), text)
        self._shown = max(self._shown, done)
        if hop.downtime is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None


PATIENCE = 1.0  # seconds before a bar appears


class Progress:
    """Counts domains; draws nothing where stderr is no terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._began = time.monotonic()
        self._bar: Any = None  # click's ProgressBar; typer does not export its type
        self._shown = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def __call__(self, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` are done."""
        if not draws():
            return
        if self._bar is None:
            if done >= total or time.monotonic() - self._began < PATIENCE:
                return
            self._bar = typer.progressbar(length=total, label=self._label, file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(done - self._shown)
        self._shown = done
        if done >= total:
            self._end()

    def _end(self) -> None:
        """What is said next begins on a line of its own, after a Ctrl-C as well."""
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
