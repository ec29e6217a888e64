"""Which process owns a record: its number, and its start time, since numbers come again."""

import os


def started_at(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split()
    return None if fields[0] in {b"Z", b"X"} else int(fields[19])


def started_by(owner: int) -> bool:
    """Whether this process is the owner, or was started by it at any remove."""
    pid = os.getpid()
    while pid > 1:
        if pid == owner:
            return True
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                text = file.read()
        except OSError:
            return False
        pid = int(text[text.rindex(b")") + 2 :].split()[1])
    return False
