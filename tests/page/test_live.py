"""The page on a host with a real libvirt: guests move, and a domain comes back."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.live import guest
from tests.live.devices import define
from tests.live.migration import leftovers
from tests.live.moving import wait_counting
from tests.live.private_host import PrivateHost
from tests.live.updates import QEMU, copy_qemu, run_guest, upgraded
from tests.page.accessible import complaints
from tests.page.chromium import Chromium, Page
from tests.page.cockpit import Cockpit
from tests.page.conftest import UUIDFS, Open
from tests.support.process import wait_for

# All that is said to those who do not see, and each state of the bars.
_RECORD = """
    window.said = [];
    window.bars = [];
    new MutationObserver(all => all.forEach(one => window.said.push(
        ...[...one.addedNodes].map(node => node.textContent)
    ))).observe(document.getElementById("announcer"), { childList: true });
    new MutationObserver(() => document.querySelectorAll(".bars li")
        .forEach(each => window.bars.push(each.innerText)))
        .observe(document.querySelector("main"), { childList: true, subtree: true });
"""


def served(serve: Callable[..., Cockpit], host: PrivateHost) -> Cockpit:
    """A Cockpit whose bridge is in the private host."""
    return serve(UUIDFS, around=host.inside())


def said(page: Page) -> list[str]:
    found: list[str] = page.eval("window.said")
    return found


def test_an_outdated_guest_moves_with_progress_and_one_is_stopped(
    ready: PrivateHost, serve: Callable[..., Cockpit], open_page: Open
) -> None:
    host = ready
    copy_qemu(host)
    run_guest(host)
    run_guest(host, number=2)
    before = {name: host.qemu_pid(name) for name in "ab"}
    page = open_page(served(serve, host), "outdated")
    page.has("No guest is outdated")
    page.has("2 running guests were looked at.")
    upgraded(host.path(QEMU))
    page.click("[data-key='refresh']")
    page.has("Outdated guests (2)")
    page.has(f"QEMU was replaced: {QEMU}")
    page.eval(_RECORD)
    page.click(f"[data-key='move:{guest.uuid(1)}']")
    page.has("Move a guest?")
    page.has("a: can move")
    page.click("dialog [type='submit']")
    page.has("1 guest has moved")
    page.has("Outdated guests (1)")
    assert host.qemu_pid("a") != before["a"]
    assert host.qemu_pid("b") == before["b"]
    for text in ("Moving", "a: on its way out", "a: on its way home", "a: moved"):
        assert text in said(page), said(page)
    bars = "\n".join(page.eval("window.bars"))
    assert "on its way out" in bars
    assert "copied, paused for" in bars
    page.has("The longest pause was")
    assert complaints(page) == []
    wait_counting(host, 1)
    assert leftovers(host) == []
    # Whoever stops it has the guest where it was, or moved, and nothing in between.
    page.click(f"[data-key='move:{guest.uuid(2)}']")
    page.has("b: can move")
    page.click("dialog [type='submit']")
    page.wait("document.querySelector('[data-key=stop]')")
    page.eval("document.querySelector('[data-key=stop]')?.click()")
    page.has("The last moves")
    page.settled()
    outcome = page.eval("document.querySelector('.moves').innerText")
    moved = host.qemu_pid("b") != before["b"]
    assert ("1 guest has moved" in outcome) == moved, outcome
    if not moved:
        assert "interrupted" in outcome
    assert "Stopping: guests that are away come home first" in said(page)
    assert leftovers(host) == []
    wait_counting(host, 2)
    page.click("[data-key='close-moves']")
    page.wait("document.querySelector('.moves').hidden")


@pytest.mark.full
def test_who_closes_the_page_has_the_guests_home(
    ready: PrivateHost, serve: Callable[..., Cockpit], browser: Chromium
) -> None:
    host = ready
    copy_qemu(host)
    for number in (1, 2, 3):
        run_guest(host, number=number)
    upgraded(host.path(QEMU))
    page = browser.open(served(serve, host).url("outdated"))
    page.click("[data-key='move-all']")
    page.has("c: can move")
    page.click("dialog [type='submit']")
    page.has("1 of 3 are done.")
    page.wait("document.querySelector('.bars').innerText.includes('on its way')")
    page.close()

    def over() -> bool:
        return "local-migrate" not in host.run("ps", "-e", "-o", "args=").ok().out

    wait_for(over, "uuidfs has ended")
    assert leftovers(host) == []
    wait_counting(host, 1, 2, 3)


def test_a_domain_comes_back_and_its_log_goes_on_across_names(
    ready: PrivateHost, serve: Callable[..., Cockpit], open_page: Open
) -> None:
    host = ready
    define(host, guest.domain("shop", 1))
    host.virsh("start", "shop").ok()
    wait_counting(host, 1)
    host.virsh("destroy", "shop").ok()
    host.virsh("domrename", "shop", "web").ok()
    host.uuidfs("convert", "--all").ok()
    page = open_page(served(serve, host))
    page.has("Domains (1)")
    page.wait("document.querySelector('[data-former]').textContent === 'shop'")
    host.virsh("undefine", "web").ok()
    page.goto(page.eval("location.href").split("#")[0] + "#/trash")
    page.has("Domains that can come back (1)")
    page.settled()
    page.click(f"[data-key='undelete:{guest.uuid(1)}']")
    page.has("define ")
    page.click("#as")
    page.type("--all")
    page.click("dialog [type='submit']")
    page.has("The domain is back: --all")
    page.settled()
    status: Any = json.loads(host.uuidfs("status", "--json").ok().out)
    assert [one["name"] for one in status["domains"]] == ["--all"]
    page.goto(page.eval("location.href").split("#")[0] + f"#/domain?uuid={guest.uuid(1)}")
    page.has("Log across renames")
    page.has("-name guest=shop")
    page.has("shutting down, reason=destroyed")
    page.settled()
    assert page.eval("document.querySelector('h2').textContent") == "--all"
