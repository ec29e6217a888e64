// Moves under way: a bar for each guest, a way to stop, and what came of them.

import { _, bytes, fmt, language, ngettext, visible } from "./text.js";
import { announce, badge, button, data, el, focusAgain, notice } from "./dom.js";
import { failure } from "./dialog.js";
import { outcomeOf } from "./words.js";
import { interrupt, start } from "./run.js";

const WAYS = {
    begins: () => _("begins"),
    out: () => _("on its way out"),
    home: () => _("on its way home"),
};

export class Moves {
    constructor() {
        this.element = el("section", { class: "moves", "aria-label": _("Moves"), hidden: true });
        this.running = false;
        this.onchange = () => {};
        this.onover = () => {};
        // Whoever leaves the page has uuidfs bring home who is away, and begin no more.
        window.addEventListener("beforeunload", event => this.running && event.preventDefault());
    }

    // words: which guests, as local-migrate takes them.
    async begin(words) {
        this.pid = null;
        this.stopping = false;
        this.bars = new Map();
        this.ended = 0;
        this.guests = 0;
        this.title = el("h3", { tabindex: "-1" }, _("Moving"));
        this.total = el("p", { class: "quiet" });
        this.list = el("ul", { class: "bars" });
        this.results = el("ul", { class: "plain" });
        this.stop = button(_("Stop"), () => this.cancel(), { key: "stop", more: _("moving") });
        this.element.hidden = false;
        // The button is where nothing that comes later moves it.
        this.element.replaceChildren(el("div", { class: "bar" }, this.title, this.stop), this.total, this.list, this.results);
        this.running = true;
        this.onchange();
        this.onover();
        this.title.focus();
        announce(_("Moving"));
        const at = words.indexOf("--");
        const all = at < 0 ? [...words, "--progress"] : [...words.slice(0, at), "--progress", ...words.slice(at)];
        const { done } = start(["local-migrate", ...all], event => this.tell(event));
        let state = "good";
        let title;
        let body = [];
        try {
            const { summary } = await done;
            title = ngettext("$0 guest has moved", "$0 guests have moved", summary.moved);
            if (summary.stopped || summary.failed || summary.refused || summary.busy)
                state = "warning";
            if (summary.longest_downtime !== null)
                body = [el("p", {}, fmt(_("The longest pause was $0 ms."), summary.longest_downtime))];
            if (summary.not_begun)
                body.push(el("p", {}, ngettext("$0 guest was not begun.", "$0 guests were not begun.", summary.not_begun)));
        } catch (error) {
            state = "danger";
            title = _("uuidfs has failed");
            body = [failure(error)];
        }
        this.running = false;
        const focused = this.element.contains(document.activeElement);
        this.title.textContent = _("The last moves");
        this.element.replaceChildren(this.title, notice(state, title, ...body), this.results,
                                     el("p", {}, button(_("Close"), () => this.close(), { key: "close-moves", more: _("The last moves") })));
        if (focused)
            this.title.focus();
        announce(title);
        this.onchange();
        this.onover();
    }

    tell(event) {
        if (event.event === "begun") {
            this.pid = event.pid;
            this.guests = event.guests;
            if (this.stopping)
                this.interrupt();
        } else if (event.event === "progress") {
            this.bar(event);
        } else if (event.event === "ended") {
            this.end(event.domain);
        }
        this.total.textContent = fmt(_("$0 of $1 are done."), this.ended, this.guests);
    }

    bar(event) {
        let bar = this.bars.get(event.uuid);
        if (bar === undefined) {
            const id = `bar-${event.uuid}`;
            bar = {
                way: null,
                stage: el("span", {}),
                bar: el("progress", { max: "1", "aria-labelledby": id }),
                figures: el("span", { class: "quiet" }),
            };
            bar.row = el("li", {}, el("span", { id }, el("strong", {}, data(event.name)), " ", bar.stage), bar.bar, bar.figures);
            this.bars.set(event.uuid, bar);
            this.list.append(bar.row);
        }
        if (bar.way !== event.way) {
            bar.way = event.way;
            bar.stage.textContent = WAYS[event.way]?.() ?? visible(event.way);
            announce(`${visible(event.name)}: ${bar.stage.textContent}`);
        }
        if (!event.total) {
            bar.bar.removeAttribute("value");
            bar.figures.textContent = "";
            return;
        }
        bar.bar.value = 1 - Math.min(Math.max(event.remaining / event.total, 0), 1);
        bar.figures.textContent = event.downtime === null
            ? fmt(_("$0 copied, $1 remain"), bytes(event.transferred), bytes(event.remaining))
            : fmt(_("$0 copied, paused for $1 ms"), bytes(event.transferred), event.downtime);
    }

    end(domain) {
        this.ended += 1;
        this.bars.get(domain.uuid)?.row.remove();
        this.bars.delete(domain.uuid);
        if (domain.outcome === "up_to_date")
            return;
        const [state, word] = outcomeOf(domain.outcome);
        const seconds = domain.seconds.toLocaleString(language(), { maximumFractionDigits: 1 });
        const pauses = domain.downtimes.length
            ? fmt(_("in $0 s, paused for $1 ms"), seconds, domain.downtimes.join(" + "))
            : "";
        this.results.append(el("li", {}, data(domain.name), " ", badge(state, word), ` ${pauses}`,
                               domain.error === null ? null : el("pre", {}, domain.error)));
        announce(`${visible(domain.name)}: ${word}`);
    }

    cancel() {
        if (this.stopping)
            return;
        this.stopping = true;
        this.stop.setAttribute("aria-disabled", "true");
        this.title.textContent = _("Stopping: guests that are away come home first");
        announce(this.title.textContent);
        if (this.pid !== null)
            this.interrupt();
    }

    async interrupt() {
        try {
            await interrupt(this.pid);
        } catch (error) {
            this.results.append(el("li", {}, el("pre", {}, error.message || String(error))));
        }
    }

    close() {
        this.element.hidden = true;
        this.element.replaceChildren();
        focusAgain(document.body, undefined);
    }
}
