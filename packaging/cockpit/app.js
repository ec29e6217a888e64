// The page: its head, the way from one view to another, and who may look.

import { _ } from "./text.js";
import { announce, button, el, notice, refill } from "./dom.js";
import { failure } from "./dialog.js";
import { followTheme } from "./theme.js";
import { domainsView } from "./domains.js";
import { domainView } from "./domain.js";
import { findingsView } from "./findings.js";
import { trashView } from "./trash.js";
import { moves, outdatedView } from "./outdated.js";

const cockpit = window.cockpit;

// A view makes itself of what it loads: { title, load: async () => data, render: data => nodes,
// close: () => {} }. It is given `refresh`, which loads and renders again.
const VIEWS = {
    domains: { label: () => _("Domains"), make: domainsView },
    findings: { label: () => _("Findings"), make: findingsView },
    trash: { label: () => _("Trash"), make: trashView },
    outdated: { label: () => _("Outdated guests"), make: outdatedView },
};

class Page {
    constructor(element) {
        this.element = element;
        this.permission = cockpit.permission({ admin: true });
        this.view = null;
        this.turn = 0;
        this.nav = el("nav", { "aria-label": _("Views of uuidfs") });
        this.main = el("main", {});
        element.replaceChildren(el("header", {}, el("h1", {}, _("Domain files")), this.nav), this.main);
        this.permission.addEventListener("changed", () => this.route());
        cockpit.addEventListener("locationchanged", () => this.route(true));
        cockpit.addEventListener("visibilitychange", () => !cockpit.hidden && this.refresh());
        moves.onchange = () => this.links();
        if (this.permission.allowed !== null)
            this.route();
    }

    links() {
        const here = cockpit.location.path[0] || "domains";
        refill(this.nav, el("ul", {}, Object.entries(VIEWS).map(([name, { label }]) => {
            const moving = name === "outdated" && moves.running;
            return el("li", {}, el("a", {
                href: name === "domains" ? "#/" : `#/${name}`,
                "data-key": `nav:${name}`,
                "aria-current": name === here || (name === "domains" && here === "domain") ? "page" : null,
            }, label(), moving ? el("span", { class: "moving" }, ` (${_("moving")})`) : null));
        })));
    }

    // asked: somebody followed a link, so the focus goes to the new view's heading.
    route(asked = false) {
        this.view?.close?.();
        this.links();
        this.main.dataset.at = window.location.hash;
        const [name = "domains"] = cockpit.location.path;
        if (this.permission.allowed === false) {
            this.view = null;
            this.turn += 1;
            this.main.replaceChildren(el("h2", { tabindex: "-1" }, _("Limited access")),
                                      notice("warning", _("This needs administrative access"),
                                             el("p", {}, _("Only root may read libvirt's definitions of domains, so there is nothing to see here yet.")),
                                             el("p", {}, _("Turn on administrative access at the top of Cockpit's window."))));
            return;
        }
        const refresh = () => this.refresh();
        this.view = name === "domain"
            ? domainView(cockpit.location.options.uuid || "", refresh)
            : (VIEWS[name] || VIEWS.domains).make(refresh);
        const title = this.title = el("h2", { tabindex: "-1" }, el("bdi", {}, this.view.title));
        this.content = el("div", { class: "content" });
        const again = button(_("Refresh"), () => this.refresh(true), { key: "refresh" });
        this.main.replaceChildren(el("div", { class: "bar" }, title, again), this.content);
        if (asked)
            title.focus();
        this.refresh();
    }

    // wanted: by a press, so the end is told.
    async refresh(wanted = false) {
        if (this.view === null)
            return;
        const { view, content } = this;
        const turn = ++this.turn;
        content.setAttribute("aria-busy", "true");
        if (!content.hasChildNodes())
            content.append(el("p", { class: "busy" }, _("Reading …")));
        let nodes;
        try {
            nodes = view.render(await view.load());
        } catch (error) {
            nodes = [failure(error)];
        }
        if (turn !== this.turn)
            return; // something newer is under way
        refill(content, ...nodes);
        this.title.firstChild.textContent = view.title;
        content.removeAttribute("aria-busy");
        if (wanted)
            announce(_("Refreshed"));
    }
}

followTheme();
document.documentElement.lang = cockpit.language || "en";
document.documentElement.dir = cockpit.language_direction || "ltr";
document.title = _("Domain files");
window.page = new Page(document.getElementById("page"));
