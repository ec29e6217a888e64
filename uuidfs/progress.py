"""A progress bar on a terminal, once the work has taken a while."""

import sys
import time
from typing import Any

import typer

PATIENCE = 1.0  # seconds before a bar appears


class Progress:
    """Counts domains; draws nothing where stderr is no terminal."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._began = time.monotonic()
        self._bar: Any = None  # click's ProgressBar; typer does not export its type
        self._shown = 0

    def __call__(self, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` are done."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            if done >= total or time.monotonic() - self._began < PATIENCE:
                return
            self._bar = typer.progressbar(length=total, label=self._label, file=sys.stderr)
            self._bar.__enter__()
        self._bar.update(done - self._shown)
        self._shown = done
        if done >= total:
            self._bar.__exit__(None, None, None)
            self._bar = None
