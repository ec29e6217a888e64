"""Names and logs that would have a careless page run, hide or exchange something."""

from tests.page.accessible import complaints
from tests.page.conftest import Open, Shown
from tests.support.process import uuidfs
from tests.support.trees import Domain, awkward_names, uuid_for

SCRIPT = "<img src=x onerror=alert(1)>"
NAMES = (
    *awkward_names(),
    SCRIPT,
    "--help",
    "--as=x",
    "$0 $1",
    "__proto__",
    "a\u202egnp.exe",
    "a\u200bb",
    "\u0647\u0648",
)


def test_every_name_is_text_and_leads_to_its_own_domain(shown: Shown, open_page: Open) -> None:
    names = [name for name in NAMES if "\n" not in name and "/" not in name]
    cockpit, _tree = shown(*(Domain(name, uuid_for(name), log_suffixes=("",)) for name in names))
    page = open_page(cockpit)
    page.has(f"Domains ({len(names)})")
    assert page.eval("document.querySelectorAll('main img, main b, main script').length") == 0
    seen = page.eval(
        "[...document.querySelectorAll('#domains tbody tr')].map("
        "row => [row.cells[0].textContent, row.cells[4].textContent])"
    )
    expected = {uuid_for(name): name for name in names}
    assert len(seen) == len(names)
    for text, uuid in seen:
        name = expected[uuid]
        for hidden in "\t\u202e\u200b":
            name = name.replace(hidden, f"\\u{{{ord(hidden):x}}}")
        assert text == name
    assert complaints(page) == []
    # Each of these has the name that is another one's UUID, or an option's look.
    for name in ("-rf", "--help", uuid_for("web"), "web"):
        page.goto(cockpit.url(f"domain?uuid={uuid_for(name)}"))
        page.has("Log across renames")
        page.settled()
        page.has(f"{uuid_for(name)} wrote log")
        assert page.eval("document.querySelector('h2').textContent") == name


def test_deleted_domains_with_such_names_are_text_in_dialogs_too(
    shown: Shown, open_page: Open
) -> None:
    cockpit, tree = shown(*(Domain(name, uuid_for(name)) for name in (SCRIPT, "--all")))
    for name in (SCRIPT, "--all"):
        tree.host.config_of(name).unlink()
    uuidfs(tree.host.root, "convert", "--all").ok()
    page = open_page(cockpit, "trash")
    page.has("Domains that can come back (2)")
    for name in (SCRIPT, "--all"):
        page.click(f"[data-key='undelete:{uuid_for(name)}']")
        page.has(f"{name} gets its definition back")
        page.press("Escape")
        page.wait("!document.querySelector('dialog')")
    assert page.eval("document.querySelectorAll('img').length") == 0


def test_an_address_with_somebody_elses_words_runs_no_option(shown: Shown, open_page: Open) -> None:
    """Who follows a link to the page has a UUID that somebody else wrote."""
    cockpit, _tree = shown()
    for words in ("--help", "%2d%2droot%3d%2f"):
        page = open_page(cockpit, f"domain?uuid={words}")
        page.has("no domain ")
