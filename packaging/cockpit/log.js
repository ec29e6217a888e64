// A domain's QEMU log: all rotations and former names as one text, and what is written later.

import { _, fmt, ngettext, visible, visibleLine } from "./text.js";
import { el } from "./dom.js";
import { failure } from "./dialog.js";
import { start } from "./run.js";

// Lines that stay on the page; a guest may write faster than anybody reads.
const KEPT = 5000;

// Made once for a view: it stays as it is when the rest of the view is refreshed.
export function logPanel(uuid) {
    let run = null;
    let turn = 0;
    const lines = el("input", { id: "log-lines", type: "number", min: "1", max: String(KEPT), value: "200", "data-key": "log-lines" });
    const pattern = el("input", { id: "log-pattern", type: "search", autocomplete: "off", spellcheck: "false", "data-key": "log-pattern" });
    const follow = el("input", { id: "log-follow", type: "checkbox", "data-key": "log-follow" });
    const text = el("pre", { class: "log", tabindex: "0", role: "log", "aria-live": "off", "aria-label": _("Log"), "data-key": "log" });
    const said = el("div", { role: "status" });
    const form = el("form", { class: "tools" },
                    el("label", { for: "log-lines" }, _("Last lines")), lines,
                    el("label", { for: "log-pattern" }, _("Only lines with (regular expression)")), pattern,
                    el("span", { class: "check" }, follow, el("label", { for: "log-follow" }, _("Follow"))),
                    el("button", { type: "submit", class: "button secondary", "data-key": "log-show" }, _("Show")));
    const element = el("section", { "aria-labelledby": "log-title" }, el("h3", { id: "log-title" }, _("Log across renames")), form, said, text);

    function close() {
        turn += 1;
        run?.close();
        run = null;
    }

    function show() {
        close();
        const mine = ++turn;
        const words = ["log", `--lines=${Math.min(Math.max(Number(lines.value) || 200, 1), KEPT)}`];
        if (pattern.value)
            words.push(`--grep=${pattern.value}`);
        if (follow.checked)
            words.push("--follow");
        text.replaceChildren();
        said.replaceChildren(follow.checked ? _("Following: new lines appear at the end.") : _("Reading …"));
        let count = 0;
        let waiting = [];
        let skipped = [];
        const flush = () => {
            if (mine !== turn || !waiting.length)
                return;
            const atEnd = !text.childElementCount || text.scrollHeight - text.scrollTop - text.clientHeight < 40;
            text.append(...waiting.slice(-KEPT).map(line => el("span", {}, line)));
            waiting = [];
            while (text.childElementCount > KEPT)
                text.firstElementChild.remove();
            if (atEnd)
                text.scrollTop = text.scrollHeight;
        };
        let planned = false;
        const started = start([...words, "--", uuid], found => {
            if (found.problem)
                skipped.push(`${visible(found.problem.path)}: ${visible(found.problem.reason)}`);
            if (typeof found.line !== "string")
                return;
            count += 1;
            waiting.push(`${visibleLine(found.line)}\n`);
            if (waiting.length > 2 * KEPT)
                waiting = waiting.slice(-KEPT);
            if (!planned) {
                planned = true;
                window.setTimeout(() => { planned = false; flush() }, 100);
            }
        });
        run = started;
        const over = error => {
            if (mine !== turn)
                return;
            run = null;
            flush();
            if (error && error.message !== _("It said nothing."))
                said.replaceChildren(failure(error));
            else
                said.replaceChildren(count ? ngettext("$0 line", "$0 lines", count) : _("The log has no such lines."));
            said.append(...skipped.map(each => el("p", {}, fmt(_("Left out: $0"), each))));
        };
        started.done.then(() => over(null), over);
    }

    form.addEventListener("submit", event => {
        event.preventDefault();
        show();
    });
    follow.addEventListener("change", show);
    show();
    return { element, close };
}
