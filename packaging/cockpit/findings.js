// What uuidfs check finds, what is to be done about it, and the repair.

import { _, fmt, ngettext } from "./text.js";
import { announce, badge, button, code, data, el, notice, table } from "./dom.js";
import { ask } from "./dialog.js";
import { promiseOf } from "./words.js";
import { uuidfs } from "./run.js";

export function findingsView(refresh) {
    let repaired = null;

    const promise = finding => [
        el("strong", {}, data(finding.promise)), promiseOf(finding.promise) ? ` ${promiseOf(finding.promise)}` : ""];

    // uuidfs's advice ends with the command to run, where there is one.
    function advice({ advice: text, command }) {
        return command && text.endsWith(command) ? [data(text.slice(0, -command.length)), code(command)] : data(text);
    }

    function list(caption, findings) {
        return table(caption, [_("What"), _("Domain"), _("Path"), _("Promise"), _("What to do"), _("Repair")], findings.map(one => [
            data(one.problem), one.name ? data(one.name) : "", code(one.path), promise(one), advice(one),
            one.repairable ? badge("info", _("can be repaired here")) : badge("warning", _("by hand"))]));
    }

    async function repair(findings) {
        const done = await ask({
            title: ngettext("Repair $0 finding?", "Repair $0 findings?", findings.length),
            body: [
                el("p", {}, _("uuidfs does these steps. Files are moved and never copied; what libvirt reads by name stays the truth.")),
                el("ul", {}, findings.map(one => el("li", {}, data(one.problem), el("br"), code(one.path)))),
            ],
            action: _("Repair"),
            run: () => uuidfs("check", "--repair"),
        });
        if (done === undefined)
            return;
        repaired = done.repaired.length;
        announce(ngettext("$0 finding is repaired", "$0 findings are repaired", repaired));
        refresh();
    }

    function render(found) {
        const nodes = [];
        const can = found.findings.filter(one => one.repairable);
        if (repaired !== null) {
            nodes.push(notice(repaired ? "good" : "info", ngettext("$0 finding is repaired", "$0 findings are repaired", repaired),
                              found.findings.length ? el("p", {}, _("What is left is below, each with what to do.")) : null));
            repaired = null;
        }
        if (!found.findings.length)
            nodes.push(notice("good", _("All is well"), el("p", {}, _("Every promise that can be checked on disk holds."))));
        if (can.length)
            nodes.push(el("p", {}, button(_("Repair …"), () => repair(can), { key: "repair", kind: "primary" })));
        if (found.findings.length)
            nodes.push(list(fmt(_("Findings ($0)"), found.findings.length), found.findings));
        if (found.notices.length) {
            nodes.push(el("h3", {}, _("Notices")),
                       el("p", {}, _("Nothing is wrong yet: this is what a new domain would inherit by its name.")),
                       list(fmt(_("Notices ($0)"), found.notices.length), found.notices));
        }
        return nodes;
    }

    return { title: _("Findings"), load: () => uuidfs("check"), render };
}
