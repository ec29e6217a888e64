"""What commands there are: where each is, its place in ``uuidfs --help``, and what it is for.

``uuidfs --help`` and the shell's completion of commands are made from this table alone: the module
of a command is imported when that command runs. tests/unit/cli/test_commands.py compares the lines
with the docstrings.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """``function`` of ``module`` below uuidfs.cli does it; a name that ends with ``_app`` stands
    for a group of commands. ``summary`` is the first line of its docstring."""

    name: str
    module: str
    function: str
    summary: str


PANELS: tuple[tuple[str, tuple[Command, ...]], ...] = (
    (
        "Every day",
        (
            Command(
                "status",
                "status",
                "status_command",
                "Show each domain with its UUID and the state of its files.",
            ),
            Command(
                "check",
                "status",
                "check_command",
                "Check every promise that can be checked on disk.",
            ),
            Command(
                "path",
                "status",
                "path_command",
                "Print where a domain's files are by its UUID, for scripts.",
            ),
            Command(
                "log",
                "log",
                "log_command",
                "Print a domain's QEMU log, across rotations and renames.",
            ),
            Command(
                "history",
                "history",
                "history_command",
                "Show a domain's former names, and what was done to it.",
            ),
            Command(
                "rename",
                "rename",
                "rename_command",
                "Rename a domain; with --live, one that is running.",
            ),
        ),
    ),
    (
        "Mishaps",
        (
            Command(
                "undelete",
                "undelete",
                "undelete_command",
                "Bring an undefined domain back, with all that belongs to it.",
            ),
            Command(
                "trash",
                "trash",
                "trash_app",
                "List, restore or empty what libvirt no longer refers to.",
            ),
        ),
    ),
    (
        "QEMU updates",
        (
            Command(
                "outdated",
                "outdated",
                "outdated_command",
                "Show running guests whose QEMU was replaced on disk.",
            ),
            Command(
                "local-migrate",
                "migrate",
                "local_migrate_command",
                "Move running guests to fresh QEMU processes on this host.",
            ),
        ),
    ),
    (
        "Setting up and taking down",
        (
            Command(
                "convert",
                "convert",
                "convert_command",
                "Move files to UUID names, and leave links at their own names.",
            ),
            Command(
                "revert",
                "convert",
                "revert_command",
                "Give libvirt's own file names back, exactly as they were.",
            ),
            Command("hook", "hook", "hook_app", "Install, remove or inspect libvirt's qemu hook."),
            Command(
                "systemd",
                "systemd",
                "systemd_app",
                "Install, remove or inspect the systemd units.",
            ),
            Command("config", "config", "config_app", "Show or check the configuration."),
        ),
    ),
    (
        "For services and scripts",
        (
            Command(
                "reconcile",
                "reconcile",
                "reconcile_command",
                "Keep the links right while libvirt works; for the service.",
            ),
            Command("lock", "sessions", "lock_command", "Run a command with a domain's lock held."),
            Command(
                "session",
                "sessions",
                "session_app",
                "Sessions of local migrations, for helpers in other languages.",
            ),
        ),
    ),
)

COMMANDS = {command.name: command for _, commands in PANELS for command in commands}
