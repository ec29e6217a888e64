"""The lines for a host that has libvirt and running guests, each document on a host of its own."""

import os
import shlex
import sys

import pytest

from tests.live import guest
from tests.live.conftest import able, make_host, shared, uuidfs_works
from tests.live.migration import counts
from tests.live.private_host import ENVIRONMENT, PrivateHost
from tests.support.process import REPOSITORY, Done, wait_for
from tests.typed.table import FOLLOWS, HOST, WHOLE, lines_at

__all__ = ["able", "make_host", "shared", "uuidfs_works"]  # fixtures
pytestmark = pytest.mark.full

BIN = "/run/typed"
SCRIPTS = sorted({(line.document, line.block) for line in lines_at(WHOLE)})
DOCUMENTS = sorted({line.document for line in lines_at(HOST, FOLLOWS)})
# The reader has a domain called web, or has come to call it shop.
SHOP = "docs/faq.md"


@pytest.fixture
def prepared(make_host: "object", request: pytest.FixtureRequest) -> PrivateHost:
    """The hook, guests that count, everything converted, and `uuidfs` as a word of the shell."""
    host: PrivateHost = request.getfixturevalue("make_host")()
    host.install_hook()
    names = ("shop" if request.node.callspec.params["document"] == SHOP else "web", "db", "gpu")
    for number, name in enumerate(names, 1):
        host.path(f"/run/{name}.xml").write_text(guest.domain(name, number))
        host.virsh("define", f"/run/{name}.xml").ok()
        host.virsh("start", name).ok()
        wait_for(lambda number=number: counts(host, number), "the guest counts")  # type: ignore[misc]
    host.uuidfs("convert", "--all").ok()
    program = host.path(BIN)
    program.mkdir()
    python = sys.executable if _has_libvirt(host) else "/usr/bin/python3"
    words = shlex.join(["env", f"PYTHONPATH={REPOSITORY}", python, "-m", "uuidfs"])
    (program / "uuidfs").write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    (program / "uuidfs").chmod(0o755)
    return host


def _has_libvirt(host: PrivateHost) -> bool:
    return host.run(sys.executable, "-c", "import libvirt").code == 0


def shell(host: PrivateHost, text: str) -> Done:
    return host.run("bash", "-c", text, env={"PATH": f"{BIN}{os.pathsep}{ENVIRONMENT['PATH']}"})


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_line_of_a_document_runs(prepared: PrivateHost, document: str) -> None:
    for line in lines_at(HOST, FOLLOWS):
        if line.document != document:
            continue
        follows = line in lines_at(FOLLOWS)
        text = line.text.replace("UUID", guest.uuid(1))
        done = shell(prepared, f"timeout 3 {text}" if follows else text)
        assert done.code == (124 if follows else 0), f"{document}:{line.number}: {line}\n{done}"
        assert not done.traceback


@pytest.mark.parametrize(("document", "block"), SCRIPTS)
def test_a_block_that_is_one_script_runs(prepared: PrivateHost, document: str, block: int) -> None:
    """This host is all of the fleet, and the guest, which has no system, ends some seconds after
    it was told to."""
    stub = prepared.path(f"{BIN}/ssh")
    stub.write_text('#!/bin/sh\nshift\nexec "$@"\n')
    stub.chmod(0o755)
    script = "\n".join(
        line.text for line in lines_at(WHOLE) if (line.document, line.block) == (document, block)
    )
    ends = "(sleep 3; virsh destroy gpu) >/dev/null 2>&1 &\n" if "shutdown gpu" in script else ""
    done = shell(prepared, ends + script)
    assert done.code == 0, f"{script}\n{done}"
    assert not done.traceback
    assert "exit code" not in done.out
    prepared.qemu_pid("gpu")
