"""A browser for all tests here, Cockpits with the page, or the reason why there are none."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from tests.live.conftest import able, host, make_host, ready, shared, uuidfs_works
from tests.page import chromium, cockpit
from tests.page.chromium import Chromium, Page
from tests.page.cockpit import Cockpit
from tests.support.process import REPOSITORY, uuidfs
from tests.support.trees import Domain, Tree, build, sample

__all__ = [
    "able",
    "host",
    "make_host",
    "ready",
    "shared",
    "uuidfs_works",
]  # fixtures, for a libvirt

# As a host has it: Debian's interpreter and libraries, which start faster than the newest ones.
UUIDFS = ["/usr/bin/python3", "-m", "uuidfs"]

PO2JS = Path("/usr/lib/python3/dist-packages/polib.py")


class Open(Protocol):
    """Opens a view of the page."""

    def __call__(self, on: Cockpit, path: str = "", *, width: int = 1280) -> Page: ...


def missing() -> str | None:
    """Say what this machine lacks, or None."""
    if os.geteuid() != 0:
        return "not root, and Cockpit has nobody to ask for a password"
    if cockpit.program() is None:
        return "no cockpit-ws"
    if chromium.program() is None:
        return "no chromium-headless-shell and no chromium"
    return None if PO2JS.exists() else "no python3-polib"


def deleted(tree: Tree) -> Path:
    """The file of web's snapshot "base". libvirt has deleted it, and undefined db; both are in the
    trash."""
    snapshot = tree.host.snapshot / "web" / "base.xml"
    snapshot.unlink()
    tree.host.config_of("db").unlink()
    uuidfs(tree.host.root, "convert", "--all").ok()
    return snapshot


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One browser; each page has a context of its own."""
    reason = missing()
    if reason is not None:
        pytest.skip(f"the page cannot be shown here: {reason}")
    with Chromium(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def open_page(browser: Chromium) -> Iterator[Open]:
    """A function that opens a view; at the end nothing was complained about."""
    pages: list[Page] = []

    def open_one(on: Cockpit, path: str = "", *, width: int = 1280) -> Page:
        page = browser.open(on.url(path), width=width)
        pages.append(page)
        page.settled()
        return page

    yield open_one
    complaints = [each for page in pages for each in page.complaints]
    for page in pages:
        page.close()
    assert complaints == []


@pytest.fixture
def serve(browser: Chromium) -> Iterator[Callable[..., Cockpit]]:
    """A function that starts a Cockpit whose uuidfs is of this checkout."""
    with ExitStack() as stack:

        def start(words: list[str], **options: object) -> Cockpit:
            # Not below pytest's own directory, which is closed to a bridge of somebody else's.
            work = stack.enter_context(tempfile.TemporaryDirectory(prefix="uuidfs-page-"))
            one = Cockpit(
                Path(work),
                words,
                **{"environment": {"PYTHONPATH": str(REPOSITORY)}, **options},  # type: ignore[arg-type] # a test's words
            )
            return stack.enter_context(one)

        yield start


class Shown(Protocol):
    """Serves a tree."""

    def __call__(self, *domains: Domain, converted: bool = True) -> tuple[Cockpit, Tree]: ...


@pytest.fixture
def shown(serve: Callable[..., Cockpit], tmp_path: Path) -> Shown:
    """A function that builds a tree, converts it, and serves it."""

    def show(*domains: Domain, converted: bool = True) -> tuple[Cockpit, Tree]:
        tree = build(tmp_path / "host", domains or sample())
        if converted:
            uuidfs(tree.host.root, "convert", "--all").ok()
        return serve([*UUIDFS, "--root", str(tree.host.root)]), tree

    return show
