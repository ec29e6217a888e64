// Makes elements. Text goes in as text: nothing here, and nothing elsewhere, parses HTML.

import { visible } from "./text.js";

// el("p", { class: "x", onclick: f }, "text", node, null). An attribute that is null is left out.
export function el(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === null || value === undefined || value === false)
            continue;
        if (name.startsWith("on"))
            element.addEventListener(name.slice(2), value);
        else
            element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children.flat().filter(child => child !== null && child !== undefined));
    return element;
}

// What somebody else wrote, isolated from the direction of the text around it.
export const data = text => el("bdi", { class: "data" }, visible(text));

export const code = text => el("bdi", { class: "data code" }, visible(text));

// A text that is not broken over lines.
export const whole = text => el("span", { class: "whole" }, text);

// A translated text with nodes in the places of $0, $1.
export function filled(text, ...nodes) {
    return text.split(/(\$[0-9])/).map(part =>
        /^\$[0-9]$/.test(part) ? nodes[Number(part[1])] : part);
}

// key: by which the focus finds it again after a refresh. more: what it is about, for those who do
// not see the row; it follows what is seen, so that saying the label works.
export function button(label, onclick, { key = null, more = null, kind = "secondary" } = {}) {
    const name = more === null ? null : `${label} ${visible(more)}`;
    return el("button", { type: "button", class: `button ${kind}`, "data-key": key, onclick, "aria-label": name }, label);
}

// columns: texts. rows: lists of cells, the first of which names the row. The roles are a table's own:
// on a narrow screen its parts are drawn as blocks, and browsers would take it for no table then.
export function table(caption, columns, rows) {
    return el("div", { class: "scroll", role: "region", "aria-label": caption, tabindex: "0", "data-key": `table:${caption}` },
              el("table", { role: "table" },
                 el("caption", {}, caption),
                 el("thead", { role: "rowgroup" },
                    el("tr", { role: "row" }, columns.map(column => el("th", { scope: "col", role: "columnheader" }, column)))),
                 el("tbody", { role: "rowgroup" }, rows.map(cells => el("tr", { role: "row" }, cells.map((cell, number) =>
                     number
                         ? el("td", { role: "cell", "data-label": columns[number] }, cell)
                         : el("th", { scope: "row", role: "rowheader" }, cell)))))));
}

// state: good, info, warning or danger. The word says it; mark and colour say it again. The marks are
// drawn: no font has to have them.
const MARKS = {
    good: "M3 8.5 6.5 12 13 4.5",
    info: "M8 1.5a6.5 6.5 0 1 0 .01 0M8 7v4.5M8 4.2v.6",
    warning: "M8 1.8 14.8 14H1.2ZM8 6v4M8 11.8v.4",
    danger: "M4 4l8 8M12 4l-8 8",
};

function mark(state) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("class", "mark");
    svg.setAttribute("aria-hidden", "true");
    path.setAttribute("d", MARKS[state]);
    svg.append(path);
    return svg;
}

export const badge = (state, word) => el("span", { class: `badge ${state}` }, mark(state), " ", word);

export function notice(state, title, ...body) {
    return el("div", { class: `notice ${state}`, role: state === "danger" ? "alert" : null },
              mark(state),
              el("div", { class: "body" }, el("h3", {}, title), body));
}

// Replaces what is in an element; who had the focus in there has it again, or its heading has.
export function refill(element, ...nodes) {
    const active = document.activeElement;
    const inside = active !== null && active !== element && element.contains(active);
    const key = inside ? active.dataset.key : undefined;
    const place = [window.scrollX, window.scrollY];
    const scrolled = [...element.querySelectorAll("[data-key]")]
            .filter(each => each.scrollTop || each.scrollLeft)
            .map(each => [each.dataset.key, each.scrollLeft, each.scrollTop]);
    element.replaceChildren(...nodes.flat().filter(node => node !== null));
    if (inside)
        focusAgain(element, key);
    for (const [own, left, top] of scrolled)
        withKey(element, own)?.scrollTo(left, top);
    window.scrollTo(...place);
}

export const withKey = (element, key) =>
    [...element.querySelectorAll("[data-key]")].find(each => each.dataset.key === key);

export function focusAgain(element, key) {
    const same = key === undefined ? null : withKey(element, key);
    const heading = element.querySelector("h2") || document.querySelector("h2");
    (same || heading || element).focus({ preventScroll: true });
}

// Said to those who do not see the page, one after the other: each is a node of its own for a while,
// so that what comes quickly is not lost.
export function announce(text) {
    const one = el("p", {}, text);
    document.getElementById("announcer").append(one);
    window.setTimeout(() => one.remove(), 20000);
}
