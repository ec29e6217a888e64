"""The groups and commands of the parser: imported when used, and with help that is the same
wherever uuidfs runs.

typer 0.7 draws boxes where rich is installed, and then shows click's marks for verbatim text as
stray backslashes; importing rich takes longer than most commands. So help is always click's own,
with the commands in panels and a command's examples as they are written in its docstring.
"""

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from uuidfs.cli.commands import COMMANDS, PANELS, Command
from uuidfs.errors import UsageError

# Any: newer typers carry a click of their own, whose types differ from click's.

EXAMPLES = "\nExamples:\n"
"""In a docstring: what follows are lines to type, indented, and remarks on them."""

_FIRST = [
    "uuidfs convert --all --dry-run    what would be done, on a fresh host",
    "uuidfs status                     what is there",
    "uuidfs rename --help              a command's options and examples",
]

_NOISE = re.compile(r"; x>=\d+|\s*\\?\[(x>=\d+|required)\]$|\\(?=\[default: )")

SETTINGS = {"help_option_names": ["-h", "--help"]}


class HelpCommand(TyperCommand):
    """A command with examples at the end of its help."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As click does it; rich is never asked."""
        _needs_output()
        super(TyperCommand, self).format_help(ctx, formatter)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """All but the examples."""
        whole, self.help = self.help, split(self.help)[0]
        super().format_help_text(ctx, formatter)
        self.help = whole

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Without what the usage line says already, and without click's ``[x>=0]``."""
        mine = _arguments(self, ctx)
        found = [p.get_help_record(ctx) for p in self.get_params(ctx) if p not in mine]
        options = [(names, _NOISE.sub("", text)) for names, text in filter(None, found)]
        arguments = [(p.metavar, p.help) for p in mine]
        for title, lines in (("Arguments", arguments), ("Options", options)):
            if lines:
                with formatter.section(title):
                    formatter.write_dl(lines)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Arguments as the source has them: typer 0.29 adds brackets and Python types."""
        return ["[OPTIONS]", *(p.metavar for p in _arguments(self, ctx))]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples, last: they are what a hurried reader looks for at the prompt."""
        super().format_epilog(ctx, formatter)
        write_examples(formatter, split(self.help)[1])


class HelpGroup(TyperGroup):
    """A group of commands, in the order in which they are written and before the options."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """As click does it; rich is never asked."""
        _needs_output()
        super(TyperGroup, self).format_help(ctx, formatter)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """The commands follow at once: they are what people look for."""
        super().format_help_text(ctx, formatter)
        for title, lines in self.panels():
            with formatter.section(title):
                formatter.write_dl(lines)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """They were before the options."""

    def list_commands(self, ctx: Any) -> list[str]:
        """In the order of the source: the common ones first."""
        return list(self.commands)

    def panels(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Titles, and below each the commands with what they are for."""
        commands = self.commands.items()
        return [("Commands", [(name, summary(each.help)) for name, each in commands])]


class LazyGroup(HelpGroup):
    """uuidfs itself: its commands are those of the table."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commands = _Commands()  # type: ignore[assignment] # nobody adds to it, so a Mapping does

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """typer offers completions of shells that no Linux host has."""
        for parameter in self.params:
            if parameter.name in {"install_completion", "show_completion"}:
                parameter.metavar = None if getattr(parameter, "is_flag", False) else "SHELL"
        super().format_help(ctx, formatter)

    def panels(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """From the table: no command is imported for its line."""
        width = max(map(len, COMMANDS))
        return [
            (title, [(each.name.ljust(width), each.summary) for each in commands])
            for title, commands in PANELS
        ]

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Where to begin."""
        super().format_epilog(ctx, formatter)
        write_examples(formatter, _FIRST)


class _Commands(Mapping[str, Any]):
    """Each command is made when somebody asks for it."""

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _made(COMMANDS[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


def group(summary: str) -> typer.Typer:
    """A group below uuidfs, such as ``uuidfs trash``."""
    return typer.Typer(
        help=summary,
        cls=HelpGroup,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings=SETTINGS,
    )


def _needs_output() -> None:
    if sys.stdout is None:  # Python has none where it was closed, and click 8.1.3 asks no more
        raise UsageError("standard output is closed, and that is where help goes")


def _arguments(command: TyperCommand, ctx: Any) -> list[Any]:
    return [p for p in command.get_params(ctx) if p.param_type_name == "argument"]


def _made(entry: Command) -> Any:
    found = getattr(importlib.import_module(f"uuidfs.cli.{entry.module}"), entry.function)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(entry.name, cls=HelpCommand)(found)
        found = alone
    made = typer.main.get_command(found)
    made.name = entry.name
    return made


def summary(text: str | None) -> str:
    """The first paragraph of a docstring, whole: click cuts it off where a line ends."""
    return " ".join((text or "").split("\n\n")[0].split())


def split(text: str | None) -> tuple[str, list[str]]:
    """A docstring's text, and the lines of its examples."""
    before, _, examples = (text or "").partition(EXAMPLES)
    return before.strip(), [line.strip() for line in examples.splitlines() if line.strip()]


def write_examples(formatter: Any, lines: list[str]) -> None:
    """Verbatim: a line to type is not to be broken."""
    if lines:
        with formatter.section("Examples"):
            for line in lines:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
