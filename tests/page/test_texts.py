"""The page's texts: all in the template, all of them in German; and what its source never does."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.package.conftest import need
from tests.page.cockpit import INSTALL, Cockpit
from tests.page.conftest import UUIDFS, Open, missing
from tests.support.process import REPOSITORY
from tests.support.trees import build, sample

SOURCE = REPOSITORY / "packaging/cockpit"
TEMPLATE = SOURCE / "po/cockpit-uuidfs.pot"


def in_source() -> set[str]:
    """The texts in the scripts and the manifest, found without gettext."""
    text = "".join(path.read_text() for path in SOURCE.glob("*.js"))
    found = re.findall(r'(?<![\w.])(?:_|N_|ngettext)\(\s*("(?:[^"\\]|\\.)*")', text)
    manifest = json.loads((SOURCE / "manifest.json").read_text())
    return {json.loads(each) for each in found} | {manifest["menu"]["index"]["label"]}


def messages(path: Path) -> str:
    """A template or translation as msgcat writes it, for the eyes of a comparison."""
    return subprocess.run(
        ["msgcat", "--no-wrap", "--sort-output", path], capture_output=True, text=True, check=True
    ).stdout


def test_the_template_has_every_text(tmp_path: Path) -> None:
    need("xgettext", "msgcat")
    subprocess.run([SOURCE / "po/update", tmp_path], check=True)
    assert TEMPLATE.read_text() == (tmp_path / TEMPLATE.name).read_text(), (
        "run: packaging/cockpit/po/update"
    )
    inside = set(re.findall(r'^msgid "(.+)"$', messages(TEMPLATE), re.MULTILINE))
    texts = {json.dumps(text, ensure_ascii=False)[1:-1] for text in in_source()}
    assert texts == inside
    assert len(texts) > 150


def test_no_text_for_people_is_outside_gettext() -> None:
    """No other string begins as a sentence does."""
    for path in SOURCE.glob("*.js"):
        source = re.sub(r"(?m)^ *//.*$", "", path.read_text())
        source = re.sub(r'(?<![\w.])(?:_|N_|ngettext)\(\s*"[^"]*"(?:, "[^"]*")?', "", source)
        assert re.findall(r'"[A-Z][a-z]+ [^"]*"', source) == [], path.name


def test_german_is_complete() -> None:
    need("msgfmt")
    german = SOURCE / "po/de.po"
    said = subprocess.run(
        ["msgfmt", "--check-format", "--statistics", "-o", "/dev/null", german],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert re.fullmatch(r"\d+ translated messages\.\n", said), said
    template = set(re.findall(r"^msgid .*$", messages(TEMPLATE), re.MULTILINE))
    assert set(re.findall(r"^msgid .*$", messages(german), re.MULTILINE)) == template
    places = re.compile(r"\$\d")
    for block in german.read_text().split("\n\n")[1:]:
        one, *others = re.findall(r'^msg\w+(?:\[\d\])? "(.*)"$', block, re.MULTILINE)
        for other in others:
            assert set(places.findall(other)) == set(places.findall(one)), block


def test_nothing_parses_html_evaluates_or_asks_the_network() -> None:
    for path in (*SOURCE.glob("*.js"), *SOURCE.glob("*.html"), *SOURCE.glob("*.css")):
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        for word in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "http:",
            "https:",
            "fetch(",
            "XMLHttpRequest",
            "style=",
            "onclick=",
        ):
            assert word not in text, f"{path.name}: {word}"


@pytest.mark.skipif(missing() is not None, reason="needs what the page's other tests need")
def test_it_speaks_german_where_cockpit_does(
    serve: Callable[..., Cockpit], open_page: Open, tmp_path: Path
) -> None:
    tree = build(tmp_path / "host", sample())
    cockpit = serve([*UUIDFS, "--root", str(tree.host.root)])
    page = open_page(cockpit)
    # As the shell's dialog of languages does it.
    page.eval("document.cookie = 'CockpitLang=de-de; path=/'")
    page.eval("localStorage['cockpit.lang'] = 'de-de'")
    page.goto("about:blank#")
    page.goto(cockpit.url("trash"))
    page.has("Der Papierkorb ist leer.")
    page.settled()
    assert page.eval("document.documentElement.lang") == "de"
    assert page.eval("document.title") == "Dateien der Domains"
    page.goto(cockpit.url(""))
    page.has("3 Logs")
    page.has("nicht umgestellt")


def test_what_is_installed_is_the_page_alone(tmp_path: Path) -> None:
    if missing() is not None:
        pytest.skip("needs what the page's other tests need")
    subprocess.run([INSTALL, tmp_path], check=True, umask=0o077)
    page = tmp_path / "usr/share/cockpit/uuidfs"
    names = {path.name for path in page.iterdir()}
    assert {"index.html", "manifest.json", "app.js", "uuidfs.css", "po.de.js"} <= names
    assert all(path.stat().st_mode & 0o777 == 0o644 for path in page.iterdir())
    linked = set(re.findall(r'(?:src|href)="([\w.]+)"', (page / "index.html").read_text()))
    imported = set(
        re.findall(r'from "\./([\w.]+)"', "".join(p.read_text() for p in page.glob("*.js")))
    )
    assert (linked | imported) - {"po.js"} <= names
