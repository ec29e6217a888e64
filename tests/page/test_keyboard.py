"""The page by keyboard alone, and what is said to those who do not see it."""

from tests.page.accessible import complaints, contrast
from tests.page.chromium import SHIFT, Page
from tests.page.conftest import Open, Shown, deleted
from tests.support.process import uuidfs
from tests.support.trees import Domain, uuid_for

WEB = Domain("web", uuid_for("web"), log_suffixes=("",), snapshots=("base", "other"))
DB = Domain("db", uuid_for("db"), log_suffixes=("",))


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until something has the focus; fails where it never gets there."""
    seen = []
    for _ in range(60):
        page.press("Tab")
        seen.append(page.focused())
        if seen[-1] == wanted:
            # What has the focus is seen to have it.
            ring = "getComputedStyle(document.activeElement).outlineStyle"
            assert page.eval(ring) != "none", wanted
            return
    raise AssertionError(f"Tab never comes to {wanted}: {seen}")


def test_all_is_done_without_a_mouse(shown: Shown, open_page: Open) -> None:
    cockpit, tree = shown(WEB, DB)
    snapshot = deleted(tree)
    page = open_page(cockpit)
    tab_to(page, f"domain:{WEB.uuid}")
    page.press("Enter")
    page.has("Log across renames")
    page.settled()
    assert page.eval("document.activeElement === document.querySelector('h2')")
    tab_to(page, "log-pattern")
    page.type("nothing of this kind")
    page.press("Enter")
    page.has("The log has no such lines.")
    page.press("Tab", SHIFT)
    assert page.focused() == "log-lines"
    page.eval("document.querySelector('nav a').focus()")
    tab_to(page, "nav:trash")
    page.press("Enter")
    page.has("Domains that can come back (1)")
    page.settled()
    restore = page.eval("document.querySelector(\"[aria-label^='Restore base.xml']\").dataset.key")
    tab_to(page, restore)
    page.press("Space")
    page.has("The file is back")
    page.settled()
    assert snapshot.exists()
    # Its button is gone with the row: the focus is at the view's heading, not lost.
    assert page.eval("document.activeElement.tagName") == "H2"
    tab_to(page, f"undelete:{DB.uuid}")
    page.press("Enter")
    page.has("Bring a domain back?")
    page.press("Tab")
    page.press("Tab")
    assert page.eval("document.activeElement.closest('dialog') !== null"), "focus left the dialog"
    page.press("Escape")
    page.wait("!document.querySelector('dialog')")
    assert page.focused() == f"undelete:{DB.uuid}"


def test_the_focus_stays_where_it_is_when_the_view_is_read_again(
    shown: Shown, open_page: Open
) -> None:
    cockpit, _tree = shown(WEB, DB)
    page = open_page(cockpit)
    page.eval(f"document.querySelector(\"[data-key='domain:{DB.uuid}']\").focus()")
    page.eval("window.page.refresh()")
    page.settled()
    assert page.focused() == f"domain:{DB.uuid}"
    page.click("[data-key='refresh']")
    page.wait("document.getElementById('announcer').textContent.includes('Refreshed')")
    live = [node for node in page.nodes() if node.properties.get("live") == "polite"]
    assert any(node.role == "status" for node in live)


def test_names_headings_tables_and_contrast(shown: Shown, open_page: Open) -> None:
    cockpit, tree = shown(WEB, DB)
    (tree.host.snapshot / "web" / "base.xml").unlink()
    tree.host.config_of("db").unlink()
    uuidfs(tree.host.root, "convert", "--all").ok()
    (tree.host.store("config") / f"{WEB.uuid}.xml").write_text("<domain>damaged")
    page = open_page(cockpit)

    def look(what: str) -> None:
        for style in ("light", "dark"):
            # As Cockpit's shell tells its pages.
            detail = f"{{ detail: {{ style: '{style}' }} }}"
            page.eval(f"window.dispatchEvent(new CustomEvent('cockpit-style', {detail}))")
            dark = page.eval("document.documentElement.classList.contains('dark')")
            assert dark == (style == "dark")
            assert complaints(page) == [], f"{what}, {style}"

    for path in ("", "findings", "outdated", f"domain?uuid={WEB.uuid}", "trash"):
        page.goto(cockpit.url(path))
        page.settled()
        look(path)
    page.click("[aria-label^='Remove …']")
    page.has("Remove a file for good?")
    look("the dialog")


def test_on_a_narrow_screen_nothing_is_beyond_its_edge_and_a_table_is_still_one(
    shown: Shown, open_page: Open
) -> None:
    cockpit, tree = shown(WEB, DB)
    tree.host.config_of("db").unlink()
    uuidfs(tree.host.root, "convert", "--all").ok()
    for path in ("", "trash"):
        page = open_page(cockpit, path, width=360)
        beyond = page.eval(  # heads of columns are for those who do not see
            "[...document.querySelectorAll('main *')].filter(e => !e.closest('thead')"
            " && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"
        )
        assert beyond == [], path
        roles = [node.role for node in page.nodes()]
        for role in ("table", "columnheader", "rowheader", "cell"):
            assert role in roles
        assert complaints(page) == []


def test_the_check_finds_what_is_wrong(shown: Shown, open_page: Open) -> None:
    """The tests above would pass with a check that finds nothing."""
    cockpit, _tree = shown(WEB)
    page = open_page(cockpit)
    page.eval(
        "document.querySelector('main').insertAdjacentHTML('beforeend',"
        "'<button></button><h6 id=x>x</h6><table><tr><td>x</td></tr></table>')"
    )
    page.eval("document.getElementById('x').style.cssText = 'color: #999; background: #fff'")
    found = "\n".join(complaints(page))
    for words in (
        "a button without a name",
        "a table without a caption",
        "contrast of 2.8",
        "of level 6",
    ):
        assert words in found
    assert contrast([0, 0, 0], [255, 255, 255]) == 21
