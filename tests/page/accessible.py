"""What a page owes to those who do not see it, or not well, by the browser's own word.

This is a small part of what axe-core looks for: names of controls, headings, tables, labels,
languages, and the contrast of text.
"""

from typing import Any

from tests.page.chromium import Page

CONTROLS = {
    "button",
    "link",
    "textbox",
    "searchbox",
    "spinbutton",
    "checkbox",
    "progressbar",
    "ProgressIndicator",
    "dialog",
    "table",
    "navigation",
    "region",
}

# Of normal text, by WCAG 2.1 AA.
CONTRAST = 4.5

# Every text with its colour and the first opaque colour behind it.
_TEXTS = """
(() => {
  const found = new Map();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const number = text => text.match(/[\\d.]+/g).map(Number);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest(".unseen"))
      continue;
    const fore = number(getComputedStyle(element).color);
    let back = null;
    for (let each = element; each && !back; each = each.parentElement) {
      const colour = number(getComputedStyle(each).backgroundColor);
      if (colour.length < 4 || colour[3] > 0)
        back = colour;
    }
    found.set(`${fore} ${back}`, [fore, back || [255, 255, 255], node.data.trim().slice(0, 40)]);
  }
  return [...found.values()];
})()
"""

_STRUCTURE = """
(() => {
  const wrong = [];
  const heads = document.querySelectorAll("h1, h2, h3, h4, h5, h6");
  const levels = [...heads].map(e => Number(e.tagName[1]));
  levels.forEach((level, at) => {
    if (level > (levels[at - 1] ?? 0) + 1) wrong.push(`a heading of level ${level} at ${at}`);
  });
  for (const table of document.querySelectorAll("table")) {
    if (!table.caption || !table.caption.textContent) wrong.push("a table without a caption");
    for (const th of table.querySelectorAll("th"))
      if (!th.scope) wrong.push(`th without scope: ${th.textContent}`);
    for (const row of table.tBodies[0].rows)
      if (row.cells[0].tagName !== "TH") wrong.push("a row without a head");
  }
  const ids = [...document.querySelectorAll("[id]")].map(e => e.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach(id => wrong.push(`two of id ${id}`));
  if (!document.documentElement.lang) wrong.push("no language");
  if (!document.title) wrong.push("no title");
  if (document.querySelectorAll("main").length !== 1) wrong.push("not one main");
  for (const each of document.querySelectorAll("[onclick], div[tabindex='0']:not([role])"))
    wrong.push(`no real control: ${each.outerHTML.slice(0, 80)}`);
  return wrong;
})()
"""


def complaints(page: Page) -> list[str]:
    """Everything that is wrong with what is shown now."""
    wrong: list[str] = [*page.eval(_STRUCTURE)]
    wrong += [
        f"a {node.role} without a name"
        for node in page.nodes()
        if node.role in CONTROLS and not node.name.strip()
    ]
    wrong += [
        f"{text!r} has a contrast of {found:.2f}"
        for fore, back, text in page.eval(_TEXTS)
        if (found := contrast(fore, back)) < CONTRAST
    ]
    return wrong


def contrast(one: list[float], other: list[float]) -> float:
    """The ratio of two colours' luminance, as WCAG reckons it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: list[Any]) -> float:
    def linear(value: float) -> float:
        value /= 255
        return float(value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(float(each)) for each in colour[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
