// What libvirt deleted: whole domains that can come back, and single files.

import { _, bytes, fmt, moment, ngettext } from "./text.js";
import { announce, button, code, data, el, filled, notice, table, whole } from "./dom.js";
import { ask, failure } from "./dialog.js";
import { countOf } from "./words.js";
import { domainLink } from "./domains.js";
import { uuidfs } from "./run.js";

export function trashView(refresh) {
    let last = null; // what came of the last action

    async function load() {
        const [files, domains] = await Promise.all([uuidfs("trash", "list"), uuidfs("undelete")]);
        return { files, domains };
    }

    function over(state, title, ...body) {
        last = () => notice(state, title, ...body);
        announce(title);
        refresh();
    }

    const problemsOf = all => all.map(one => el("p", {}, code(one.path), " ", data(one.reason)));

    async function undelete(domain) {
        const name = el("input", { id: "as", type: "text", autocomplete: "off", spellcheck: "false" });
        const plan = el("div", { "aria-live": "polite" }, el("p", { class: "busy" }, _("Looking at what there is …")));
        uuidfs("undelete", "--dry-run", "--", domain.uuid).then(
            found => plan.replaceChildren(
                el("ul", {}, found.steps.map(step => el("li", {}, code(`${step.action} ${step.subject}`)))),
                ...problemsOf(found.stays)),
            error => plan.replaceChildren(el("pre", {}, error.message)));
        const done = await ask({
            title: _("Bring a domain back?"),
            body: [
                el("p", {}, filled(_("$0 gets its definition back, through libvirt, and all that is below. Nothing is overwritten."), data(domain.name))),
                plan,
                el("label", { for: "as" }, _("Another name, where its own is taken")), name,
            ],
            action: _("Bring back"),
            run: () => uuidfs("undelete", ...(name.value ? [`--as=${name.value}`] : []), "--", domain.uuid),
        });
        if (done === undefined)
            return;
        const stays = [...done.stays, ...done.left];
        over(stays.length ? "warning" : "good", fmt(_("The domain is back: $0"), done.name),
             stays.length ? el("p", {}, _("A part of it stays in the trash:")) : null, ...problemsOf(stays));
    }

    async function restore(entry) {
        try {
            const done = await uuidfs("trash", "restore", "--", entry.id);
            over("good", _("The file is back"), el("p", {}, code(done.path)),
                 done.advice ? el("p", {}, _("libvirt has not read it yet: "), data(done.advice)) : null);
        } catch (error) {
            last = () => failure(error);
            refresh();
        }
    }

    async function remove(entry) {
        const done = await ask({
            title: _("Remove a file for good?"),
            body: [
                el("p", {}, _("It cannot be brought back after this.")),
                el("p", {}, code(entry.path)),
                el("p", {}, filled(_("It belonged to $0."), entry.name === null ? code(entry.uuid) : data(entry.name))),
            ],
            action: _("Remove for good"),
            kind: "danger",
            run: () => uuidfs("trash", "empty", "--", entry.id),
        });
        if (done !== undefined) {
            const title = ngettext("$0 file was removed", "$0 files were removed", done.removed.length);
            over(done.problems.length ? "warning" : "good", title, ...problemsOf(done.problems));
        }
    }

    // A domain's last known name, where the trash itself does not tell.
    const nameOf = (entry, names) => entry.last_name ?? entry.name ?? names.get(entry.uuid) ?? null;

    function domainsTable(domains) {
        if (!domains.length)
            return el("p", {}, _("No domain was undefined that could come back."));
        return table(fmt(_("Domains that can come back ($0)"), domains.length), [_("Name"), _("Undefined"), _("What there is"), _("UUID"), _("Action")],
                     [...domains].reverse().map(one => [
                         domainLink(one.name, one.uuid),
                         whole(one.when === null ? _("just now") : moment(one.when)),
                         parts(one), code(one.uuid),
                         button(_("Bring back …"), () => undelete(one), { key: `undelete:${one.uuid}`, more: one.name })]));
    }

    function parts(domain) {
        const counts = new Map();
        for (const { kind } of domain.parts)
            counts.set(kind, (counts.get(kind) || 0) + 1);
        const texts = [...counts].map(([kind, number]) => countOf(kind, number));
        if (domain.begun)
            texts.push(_("an undelete was cut off"));
        else if (domain.running)
            texts.push(_("its guest runs"));
        return texts.join(", ");
    }

    function filesTable(entries, names) {
        if (!entries.length)
            return el("p", {}, _("The trash is empty."));
        return table(fmt(_("Files in the trash ($0)"), entries.length),
                     [_("File"), _("Domain"), _("Since"), _("Why"), _("Size"), _("Action")],
                     [...entries].reverse().map(entry => {
                         const name = nameOf(entry, names);
                         const what = `${entry.file} (${name ?? entry.uuid})`;
                         return [
                             el("span", {}, el("span", { class: "quiet" }, data(entry.kind), " "), code(entry.file)),
                             name === null ? code(entry.uuid) : data(name), whole(moment(entry.when)),
                             data(entry.by ? `${entry.reason} (${entry.by})` : entry.reason), whole(bytes(entry.size)),
                             el("span", { class: "buttons" },
                                button(_("Restore"), () => restore(entry), { key: `restore:${entry.id}`, more: what }),
                                button(_("Remove …"), () => remove({ ...entry, name }), { key: `remove:${entry.id}`, more: what, kind: "quiet-danger" }))];
                     }));
    }

    function render({ files, domains }) {
        const names = new Map(domains.domains.map(one => [one.uuid, one.name]));
        const nodes = last === null ? [] : [last()];
        last = null;
        const strangers = [...files.problems, ...domains.problems];
        if (strangers.length)
            nodes.push(notice("warning", _("Something in the trash is left alone"), ...problemsOf(strangers)));
        nodes.push(el("h3", {}, _("Whole domains")), domainsTable(domains.domains),
                   el("h3", {}, _("Single files")), filesTable(files.entries, names));
        return nodes;
    }

    return { title: _("Trash"), load, render };
}
