"""Runs the command line many times, each in a fork of one process that has imported it.

A start of the interpreter takes longer than what most commands do. What a fork runs is the program
from its beginning to the end of the interpreter, with streams and a user of its own:
``python -m tests.support.forkserver`` reads requests as JSON lines, and answers each by an exit
code. Who becomes another user may not read Python's modules any more, so all are imported before.
"""

import contextlib
import io
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.support.process import PATIENCE, REPOSITORY, Done

NOBODY = 65534

FULL, CLOSED = "full", "closed"  # what standard output may be: /dev/full, a pipe that nobody reads


class ForkServer:
    """A context manager; ``before`` are words to start it with (unshare, say)."""

    def __init__(self, scratch: Path, *before: str) -> None:
        self._scratch = scratch
        scratch.mkdir(exist_ok=True)
        command = [*before, sys.executable, "-m", "tests.support.forkserver", os.fspath(scratch)]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)

    def run(self, *words: str, out: str = "", user: int = 0) -> Done:
        """Run uuidfs with these words to its end; ``user``: as this one, in no group."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {"words": words, "out": out, "user": user}
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        said, complaint = ((self._scratch / name).read_text() for name in ("out", "err"))
        return Done(code, said, complaint, ("uuidfs", *words))


def _serve(scratch: Path) -> list[str] | None:
    """The words, in each fork; None at the end, in the parent."""
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if not child:
            _become(scratch, request)
            return list(request["words"])
        status = os.waitpid(child, 0)[1]
        answers.write(f"{os.waitstatus_to_exitcode(status)}\n")
        answers.flush()
    return None


def _become(scratch: Path, request: dict[str, Any]) -> None:
    """The streams and the user of one run."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    out = os.open(scratch / "out", flags)
    if request["out"] == FULL:
        out = os.open("/dev/full", os.O_WRONLY)
    elif request["out"] == CLOSED:
        end, out = os.pipe()
        os.close(end)
    err = os.open(scratch / "err", flags)
    for fd, number in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(fd, number)
    if request["user"]:
        os.setgroups([])
        os.setresgid(*[request["user"]] * 3)
        os.setresuid(*[request["user"]] * 3)


def main() -> None:
    """Serve; in a fork, be uuidfs."""
    import importlib.readers  # of shipped files, loaded late

    import uuidfs
    from uuidfs.cli import start

    for module in pkgutil.walk_packages(uuidfs.__path__, "uuidfs."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    scratch = Path(sys.argv[1])
    sys.argv = ["uuidfs", "--root", os.fspath(scratch / "nowhere"), "status"]
    with contextlib.suppress(SystemExit), contextlib.redirect_stderr(io.StringIO()):
        start.main()  # typer loads what it parses words with when there are any
    words = _serve(scratch)
    os.chdir("/")
    if words is not None:
        sys.argv = ["uuidfs", *words]
        start.main()


if __name__ == "__main__":
    main()
