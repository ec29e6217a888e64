"""``uuidfs log``."""

import itertools
import os
import re
import select
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

import typer

from uuidfs.cli.options import CONNECT, JSON, PAST_DOMAIN, ROOT, layout_of
from uuidfs.cli.output import EXIT_INTERRUPTED, say
from uuidfs.errors import EXIT_FAILED, EXIT_OK, SystemCallFailed, UsageError, show

if TYPE_CHECKING:
    from uuidfs.history.lines import Line, Wanted
    from uuidfs.history.logs import Logs, Subject
    from uuidfs.survey.scan import Problem

FOLLOW = typer.Option(
    False, "--follow", "-f", help="Go on with what is written, until Ctrl-C; across rotations."
)

SINCE = typer.Option(
    None,
    "--since",
    metavar="TIME",
    show_default=False,
    help='Only lines since then: "10min", "2d", 2026-11-25 or "2026-11-25 10:00".',
)

GREP = typer.Option(
    None,
    "--grep",
    "-g",
    metavar="PATTERN",
    show_default=False,
    help="Only lines in which this regular expression is found; all in lower case: of either case.",
)

LINES = typer.Option(
    None, "--lines", "-n", metavar="N", min=0, show_default=False, help="Only the last N lines."
)


def log_command(
    ctx: typer.Context,
    domain: str = PAST_DOMAIN,
    follow: bool = FOLLOW,
    since: str = SINCE,
    grep: str = GREP,
    lines: int = LINES,
    as_json: bool = JSON,
    root: str = ROOT,
    connect: str = CONNECT,
) -> None:
    """Print a domain's QEMU log, across rotations and renames.

    The oldest line comes first. The log of a domain that is gone is there, too, as long as the
    trash keeps it.

    Examples:
        uuidfs log web
        uuidfs log web --since 2h --grep error
        uuidfs log web -n 20 --follow
    """
    from uuidfs.history.lines import Wanted
    from uuidfs.history.logs import Logs
    from uuidfs.history.since import moment
    from uuidfs.history.subject import find

    layout = layout_of(ctx, root, connect)
    if sys.stdout is None:  # Python has none where it was closed
        raise UsageError("standard output is closed, and that is where the log goes")
    wanted = Wanted(moment(since, time.time()) if since is not None else None, _pattern(grep))
    with Logs(layout) as logs:
        command = _Printer(logs, find(logs, domain), wanted, as_json=as_json)
        try:
            command.run(lines, follow=follow)
        except BrokenPipeError:
            raise  # nobody reads: the end, in silence
        except OSError as error:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still to be written fails, too
            raise SystemCallFailed("write to", "standard output", error) from error
        except KeyboardInterrupt:
            if not follow:
                raise
            raise typer.Exit(EXIT_INTERRUPTED) from None  # the way to end it, so nothing is said
    raise typer.Exit(command.exit_code)


def _pattern(text: str | None) -> "re.Pattern[bytes] | None":
    """As journalctl(1): a pattern without an upper-case letter is of either case."""
    if text is None:
        return None
    flags = re.IGNORECASE if text == text.lower() else 0
    try:
        return re.compile(os.fsencode(text), flags)
    except re.error as error:
        raise UsageError(f"--grep: {show(text)!r} is not a regular expression: {error}") from None


class _Printer:
    """Writes one log to standard output."""

    def __init__(
        self, logs: "Logs", subject: "Subject", wanted: "Wanted", *, as_json: bool
    ) -> None:
        self.exit_code = EXIT_OK
        self._logs = logs
        self._subject = subject
        self._wanted = wanted
        self._as_json = as_json
        self._out = sys.stdout.buffer
        self._terminal = sys.stdout.isatty()
        self._cut = False  # whether what was written last is a line without its end

    def run(self, lines: int | None, *, follow: bool) -> None:
        """Print the log, or with ``follow`` print for ever. Raises BrokenPipeError when nobody
        reads any more."""
        from uuidfs.history.follow import Follower
        from uuidfs.history.read_log import chunks, last_lines, recent
        from uuidfs.history.subject import names_of

        names = names_of(self._logs.scan(), self._subject)
        chain = self._logs.chain(self._subject, names)
        with ExitStack() as stack:
            stack.callback(chain.close)
            chain.arrange()
            for problem in chain.problems:
                self._tell(problem)
            files, skipped = recent(chain, self._wanted.since), 0
            if lines is not None:
                files, skipped = last_lines(chain, self._wanted, lines)
            if not follow:
                self._print(chunks(files, self._tell), skipped, whole=True)
                return
            stack.pop_all()
            follower = Follower(self._logs, self._subject, chain, self._tell)
            stack.callback(follower.close)
            before = {file.key for file in follower.before()}
            old = chunks([file for file in files if file.key in before], self._tell)
            self._print(itertools.chain(old, follower.chunks()), skipped, whole=False)

    def _print(self, pieces: Iterator[bytes], skipped: int, *, whole: bool) -> None:
        from uuidfs.history.lines import dropped, select
        from uuidfs.history.read_log import without_first

        wanted = self._wanted
        if wanted.all:
            pieces, skipped = dropped(pieces, skipped), 0
        if wanted.all and not self._terminal and not self._as_json:
            for piece in pieces:  # the bytes as they are
                if piece:
                    self._out.write(piece)
                else:
                    self._wait()
        else:
            flush = wanted.grep is None and not self._as_json
            for found in without_first(select(pieces, wanted, flush=flush), skipped):
                for line in found:
                    self._line(line)
                if not found:
                    self._wait()
            if whole and self._cut:
                self._out.write(b"\n")
        self._out.flush()

    def _line(self, line: "Line") -> None:
        from uuidfs.cli.render.log import harmless, line_json

        if self._as_json:
            self._out.write(line_json(line))
            return
        if self._cut and line.begins:
            self._out.write(b"\n")
        self._out.write(harmless(line.text) if self._terminal else line.text)
        self._cut = not line.text.endswith(b"\n")

    def _wait(self) -> None:
        """Wait for a moment, or until nobody reads what is written here."""
        from uuidfs.history.follow import PERIOD

        self._out.flush()
        poll = select.poll()
        poll.register(self._out.fileno(), 0)  # asks for errors only
        if poll.poll(PERIOD * 1000):
            raise BrokenPipeError

    def _tell(self, problem: "Problem") -> None:
        """Something is left out."""
        from uuidfs.cli.render.log import problem_json

        self.exit_code = EXIT_FAILED
        if self._as_json:
            self._out.write(problem_json(problem))
        else:
            self._out.flush()
            say([], [f"uuidfs: {show(problem.path)}: {show(problem.reason)}"])
