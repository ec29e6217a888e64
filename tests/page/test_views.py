"""Each view of the page on a tree, in a real Cockpit: what it shows, and what its buttons do."""

from tests.page.conftest import Open, Shown, deleted
from tests.support.process import uuidfs
from tests.support.trees import Domain, domain_xml, uuid_for
from tests.unit.history.host import started

WEB = Domain("web", uuid_for("web"), log_suffixes=(), snapshots=("base",))
DB = Domain("db", uuid_for("db"), log_suffixes=("",))


def test_domains_have_their_state_and_their_former_names(shown: Shown, open_page: Open) -> None:
    cockpit, tree = shown(WEB, DB)
    store = tree.host.store("log")
    (store / f"{WEB.uuid}.log").write_bytes(started(1, "shop") + started(2, "web"))
    tree.host.log_of("web").symlink_to(f"by-uuid/{WEB.uuid}.log")
    (store / f"{DB.uuid}.log.9.gz").write_text("this is no gzip")
    tree.host.config_of("new").write_bytes(domain_xml("new", uuid_for("new")))
    page = open_page(cockpit)
    page.has("Domains (3)")
    page.has("shop")
    page.has("Some former names could not be read")
    page.has(f"{DB.uuid}.log.9.gz")
    rows = page.eval(
        "[...document.querySelectorAll('#domains tbody tr')].map("
        "row => [...row.cells].slice(0, 3).map(cell => cell.innerText.trim()))"
    )
    assert rows == [
        ["db", "", "partly converted"],
        ["new", "", "not converted"],
        ["web", "shop", "converted"],
    ]
    page.has("No reconciler runs")
    page.click("#filter")
    page.type("SHOP")
    page.has("1 domain matches")
    shown_rows = "[...document.querySelectorAll('#domains tbody tr')].filter(r => !r.hidden).length"
    assert page.eval(shown_rows) == 1
    page.click("[data-key='refresh']")
    page.has("1 domain matches")
    assert page.eval("document.getElementById('filter').value") == "SHOP"
    # The log goes on across the rename, and is read for one domain.
    page.click(f"[data-key='domain:{WEB.uuid}']")
    page.has("Log across renames")
    page.has("guest=shop")
    page.has("2026")
    page.settled()
    assert page.eval("document.querySelector('h2').textContent") == "web"
    assert page.eval("document.querySelector('.log').childElementCount") == 10
    page.has("renamed")
    page.click("#log-pattern")
    page.type("guest=.*web")
    page.press("Enter")
    page.wait("document.querySelector('.log').childElementCount === 1")
    page.click("#log-follow")
    page.has("Following")
    with (store / f"{WEB.uuid}.log").open("ab") as log:
        log.write(started(3, "web") + b"and \x1b[31m\xe2\x80\xaeguest=web too\n")
    page.wait("document.querySelector('.log').childElementCount === 3", "what is written later")
    assert "and \\u{1b}[31m\\u{202e}guest=web too" in page.text()
    page.click("#log-pattern")
    page.type("(")
    page.press("Enter")
    page.has("is not a regular expression")
    page.has("exit status 2")
    page.click("[data-key='back']")
    page.has("Domains (3)")


def test_findings_are_listed_and_repaired_after_a_question(shown: Shown, open_page: Open) -> None:
    cockpit, tree = shown(WEB, DB)
    page = open_page(cockpit, "findings")
    page.has("All is well")
    config = tree.host.config_of("web")
    data = config.read_bytes()
    config.unlink()
    config.write_bytes(data)  # as libvirt saves it
    (tree.host.store("config") / f"{DB.uuid}.xml").write_text("<domain>damaged")
    page.click("[data-key='refresh']")
    page.has("can be repaired here")
    page.has("by hand")
    page.has("no write is lost")
    page.click("[data-key='repair']")
    page.has("Repair 1 finding?")
    page.press("Escape")
    page.wait("!document.querySelector('dialog')")
    assert not config.is_symlink(), "who says no has nothing done"
    assert page.focused() == "repair"
    page.click("[data-key='repair']")
    page.click("dialog [type='submit']")
    page.has("1 finding is repaired")
    page.settled()
    assert config.is_symlink()
    page.has("What is left is below")
    assert page.eval("document.querySelector('[data-key=repair]')") is None


def test_a_file_comes_back_from_the_trash_or_goes_for_good(shown: Shown, open_page: Open) -> None:
    cockpit, tree = shown(WEB, DB)
    snapshot = deleted(tree)
    page = open_page(cockpit, "trash")
    page.has("Domains that can come back (1)")
    page.has("Files in the trash (2)")
    page.has("snapshot base.xml")
    # Never over another one: uuidfs's own words and its exit status are shown.
    (tree.host.snapshot / "web").mkdir(exist_ok=True)
    snapshot.write_text("another")
    page.click("[aria-label^='Restore base.xml']")
    page.has("uuidfs has failed with exit status 1")
    page.has("trash restore --json --")
    page.settled()
    snapshot.unlink()
    page.click("[aria-label^='Restore base.xml']")
    page.has("The file is back")
    page.settled()
    assert snapshot.exists()
    page.has("libvirt has not read it yet")
    page.has("Files in the trash (1)")
    page.click("[aria-label^='Remove …']")
    page.has("Remove a file for good?")
    assert page.focused() == "Cancel", "Enter alone loses nothing"
    page.press("Enter")
    page.wait("!document.querySelector('dialog')")
    page.has("Files in the trash (1)")
    page.click("[aria-label^='Remove …']")
    page.click("dialog [type='submit']")
    page.has("1 file was removed")
    page.has("The trash is empty.")
    assert uuidfs(tree.host.root, "trash", "list", "--json").ok().json["entries"] == []


def test_undelete_without_libvirt_says_why_and_stays(shown: Shown, open_page: Open) -> None:
    cockpit, tree = shown(WEB, DB)
    tree.host.config_of("db").unlink()
    uuidfs(tree.host.root, "convert", "--all").ok()
    page = open_page(cockpit, "trash")
    page.click(f"[data-key='undelete:{DB.uuid}']")
    page.has("Bring a domain back?")
    page.click("dialog [type='submit']")
    page.has("uuidfs has failed with exit status")
    page.has("The command was:")
    page.press("Escape")
    page.wait("!document.querySelector('dialog')")
    assert page.focused() == f"undelete:{DB.uuid}"
