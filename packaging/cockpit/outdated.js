// Running guests whose QEMU was replaced on disk, and the moves to what is there now.

import { _, fmt, ngettext } from "./text.js";
import { button, code, data, el, filled, notice, table } from "./dom.js";
import { ask, failure } from "./dialog.js";
import { outcomeOf, reasonOf } from "./words.js";
import { uuidfs } from "./run.js";
import { Moves } from "./moves.js";

// One for the page: moves go on while another view is shown.
export const moves = new Moves();

export function outdatedView(refresh) {
    moves.onover = refresh;

    // The emulator that a definition names anew is where a guest goes; by --outdated uuidfs itself
    // knows that.
    const wordsFor = guest => guest === null
        ? ["--outdated"]
        : [...(guest.emulator ? [`--emulator=${guest.emulator}`] : []), "--", guest.uuid];

    async function move(guest, number) {
        const plan = el("div", { "aria-live": "polite" }, el("p", { class: "busy" }, _("Looking whether that can be done …")));
        uuidfs("local-migrate", "--dry-run", ...wordsFor(guest)).then(
            found => plan.replaceChildren(el("ul", {}, found.domains.filter(one => one.outcome !== "up_to_date").map(one =>
                el("li", {}, data(one.name), `: ${outcomeOf(one.outcome)[1]}`, one.error ? [el("br"), data(one.error)] : null)))),
            error => plan.replaceChildren(failure(error)));
        const begun = await ask({
            title: guest === null ? ngettext("Move $0 outdated guest?", "Move $0 outdated guests?", number) : _("Move a guest?"),
            body: [
                guest === null
                    ? el("p", {}, _("One after the other, the smallest first."))
                    : el("p", {}, filled(_("$0 moves to a fresh QEMU process on this host."), data(guest.name))),
                el("p", {}, _("A guest pauses twice, for some milliseconds, and needs its memory a second time meanwhile. It is not restarted.")),
                plan,
            ],
            action: _("Move now"),
            run: async () => true,
        });
        if (begun)
            moves.begin(wordsFor(guest));
    }

    function render(found) {
        const nodes = [moves.element];
        if (found.problems.length) {
            nodes.push(notice("warning", _("Some guests could not be looked at"), ...found.problems.map(one =>
                el("p", {}, one.name === null ? null : [data(one.name), ": "], code(one.path), " ", data(one.reason)))));
        }
        const looked = ngettext("$0 running guest was looked at.", "$0 running guests were looked at.", found.looked);
        if (!found.domains.length) {
            if (!found.problems.length)
                nodes.push(notice("good", _("No guest is outdated"), el("p", {}, looked)));
            return nodes;
        }
        const free = !moves.running;
        nodes.push(el("p", {}, looked, " ", _("These execute code that is not on disk any more, for example after an update of QEMU.")));
        if (free && found.domains.length > 1)
            nodes.push(el("p", {}, button(_("Move all …"), () => move(null, found.domains.length), { key: "move-all", kind: "primary" })));
        nodes.push(table(fmt(_("Outdated guests ($0)"), found.domains.length), [_("Name"), _("Why"), _("Process"), _("UUID"), _("Action")],
                         found.domains.map(one => [
                             data(one.name),
                             el("ul", { class: "plain" }, one.reasons.map(reason => el("li", {}, reasonOf(reason.kind), ": ", code(reason.path)))),
                             String(one.pid), code(one.uuid),
                             free
                                 ? button(_("Move now …"), () => move(one, 1), { key: `move:${one.uuid}`, more: one.name })
                                 : el("span", { class: "quiet" }, _("after the present moves"))])));
        return nodes;
    }

    return { title: _("Outdated guests"), load: () => uuidfs("outdated"), render, close: () => { moves.onover = () => {} } };
}
