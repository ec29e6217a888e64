// All domains: their names, those that they had before, and the state of their files.

import { _, fmt, ngettext, visible } from "./text.js";
import { badge, code, data, el, notice, table } from "./dom.js";
import { countOf, stateOf } from "./words.js";
import { failure } from "./dialog.js";
import { uuidfs } from "./run.js";

const cockpit = window.cockpit;

const linkTo = uuid => `#${cockpit.location.encode(["domain"], { uuid })}`;

export const domainLink = (name, uuid) =>
    el("a", { href: linkTo(uuid), "data-key": `domain:${uuid}` }, name === null ? _("(gone)") : data(name));

export function domainsView() {
    let former = null; // by UUID; reading all logs takes longer than all the rest
    let wanted = "";
    let asked = 0;

    async function readFormer() {
        const turn = ++asked;
        let unread = [];
        try {
            const found = await uuidfs("status", "--former");
            if (turn !== asked)
                return;
            unread = found.unread.map(one => el("p", {}, code(one.path), " ", data(one.reason)));
            former = new Map([...found.domains, ...found.undefined].map(one => [one.uuid, one.former_names]));
        } catch (error) {
            if (turn !== asked)
                return;
            unread = [failure(error)];
            former = new Map();
        }
        document.getElementById("unread")?.replaceChildren(
            ...(unread.length ? [notice("warning", _("Some former names could not be read"), ...unread)] : []));
        for (const cell of document.querySelectorAll("[data-former]"))
            fill(cell, cell.dataset.former);
        filter();
    }

    function fill(cell, uuid) {
        const names = former === null ? null : former.get(uuid) ?? null;
        if (names === null)
            cell.replaceChildren(el("span", { class: "quiet" }, former === null ? "…" : _("unknown")));
        else
            cell.replaceChildren(...names.flatMap((name, number) => number ? [", ", data(name)] : [data(name)]));
    }

    function filter() {
        const rows = [...document.querySelectorAll("#domains tbody tr")];
        const text = wanted.toLowerCase();
        let shown = 0;
        for (const row of rows) {
            row.hidden = !row.textContent.toLowerCase().includes(text);
            shown += !row.hidden;
        }
        const count = document.getElementById("shown");
        if (count !== null)
            count.textContent = text ? ngettext("$0 domain matches", "$0 domains match", shown) : "";
    }

    function render(found) {
        const domains = [...found.domains, ...found.undefined];
        readFormer();
        if (!domains.length)
            return [reconciler(found), el("p", {}, _("libvirt has no domains here.")), ...problems(found)];
        const box = el("input", { id: "filter", type: "search", "data-key": "filter", autocomplete: "off", spellcheck: "false" });
        box.value = wanted;
        box.addEventListener("input", () => {
            wanted = box.value;
            filter();
        });
        const rows = domains.map(domain => {
            const cell = el("span", { "data-former": domain.uuid });
            fill(cell, domain.uuid);
            return [domainLink(domain.name, domain.uuid), cell, badge(...stateOf(domain.state)), files(domain.files), code(domain.uuid)];
        });
        const nodes = [
            reconciler(found),
            el("div", { class: "tools" },
               el("label", { for: "filter" }, _("Find a domain by its name, a former name or its UUID")), box,
               el("span", { id: "shown", class: "quiet", role: "status" })),
            el("div", { id: "domains" }, table(fmt(_("Domains ($0)"), domains.length),
                                               [_("Name"), _("Former names"), _("State"), _("Files"), _("UUID")], rows)),
            el("div", { id: "unread" }),
            ...problems(found),
        ];
        window.setTimeout(filter);
        return nodes;
    }

    return { title: _("Domains"), load: () => uuidfs("status"), render, close: () => { asked += 1 } };
}

// What is in order in one line, all else with its state.
function files(all) {
    const counts = new Map();
    for (const { kind, state } of all) {
        const key = `${kind} ${state}`;
        counts.set(key, (counts.get(key) || 0) + 1);
    }
    const good = [];
    const others = [];
    for (const [key, number] of counts) {
        const [kind, state] = key.split(" ");
        const [mood, word] = stateOf(state);
        if (mood === "good")
            good.push(countOf(kind, number));
        else
            others.push(el("li", {}, countOf(kind, number), ": ", badge(mood, word)));
    }
    return el("ul", { class: "plain" }, good.length ? el("li", {}, good.join(", ")) : null, others);
}

function reconciler({ reconciler: now }) {
    if (!now)
        return notice("info", _("No reconciler runs"),
                      el("p", {}, _("Names are put right when a domain starts, and by hand; nothing is lost meanwhile. To start it: "), code("systemctl start uuidfs")));
    const behind = now.behind >= 1 ? ` ${fmt(_("It is $0 s behind."), Math.round(now.behind))}` : "";
    const polling = now.polling ? ` ${fmt(_("There are no inotify events, so it polls: $0"), visible(now.polling))}` : "";
    const pending = ngettext("$0 name waits for it.", "$0 names wait for it.", now.pending);
    return el("p", { class: "quiet" }, badge("good", fmt(_("The reconciler runs (process $0)."), now.pid)), ` ${pending}${behind}${polling}`);
}

// What needs a look, with uuidfs's own words.
function problems(found) {
    const rows = [...found.problems, ...found.domains.flatMap(domain => domain.problems)]
            .map(problem => [code(problem.path), data(problem.reason)]);
    for (const path of found.unbound)
        rows.push([code(path), _("No domain has this name.")]);
    for (const path of found.leftovers)
        rows.push([code(path), _("Left over by a run that was killed; the next one takes it away.")]);
    if (!rows.length)
        return [];
    return [el("h3", {}, _("Beside the domains")), table(_("Files that belong to no domain, or that uuidfs leaves alone"), [_("Path"), _("What it is")], rows)];
}
