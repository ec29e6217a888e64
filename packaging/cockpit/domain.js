// One domain: its names, its history, its files, and its log across renames and rotations.

import { _, fmt, moment, ngettext, visible } from "./text.js";
import { badge, code, data, el, notice, table, whole } from "./dom.js";
import { eventOf, stateOf } from "./words.js";
import { uuidfs } from "./run.js";
import { logPanel } from "./log.js";

export function domainView(uuid) {
    const log = logPanel(uuid);

    async function load() {
        // A domain that is gone has no status any more, and still a history and a log.
        const [history, status] = await Promise.all([
            uuidfs("history", "--", uuid),
            uuidfs("status", "--", uuid).catch(() => null),
        ]);
        return { history, domain: status === null ? null : [...status.domains, ...status.undefined][0] || null };
    }

    const view = { title: _("One domain"), load, render, close: log.close };

    function render({ history, domain }) {
        view.title = visible(history.name ?? history.former_names.at(-1) ?? history.uuid);
        const facts = el("dl", { class: "facts" },
                         el("dt", {}, _("Name")), el("dd", {}, history.name === null ? _("none: it is gone") : data(history.name)),
                         el("dt", {}, _("UUID")), el("dd", {}, code(history.uuid)),
                         el("dt", {}, _("Former names")),
                         el("dd", {}, history.former_names.length
                             ? el("ul", { class: "plain" }, history.former_names.map(name => el("li", {}, data(name))))
                             : _("none")),
                         domain === null ? null : [el("dt", {}, _("State")), el("dd", {}, badge(...stateOf(domain.state)))]);
        return [
            el("p", {}, el("a", { href: "#/", "data-key": "back" }, _("All domains"))),
            facts,
            ...(domain === null ? [] : domain.problems.map(problem => notice("warning", _("uuidfs leaves something alone"), el("p", {}, code(problem.path), " ", data(problem.reason))))),
            log.element,
            el("h3", {}, _("History")),
            ...history.problems.map(problem => notice("warning", _("Something could not be read"), el("p", {}, code(problem.path), " ", data(problem.reason)))),
            history.journal ? el("p", { class: "quiet" }, data(history.journal)) : null,
            table(fmt(_("What happened ($0)"), history.events.length),
                  [_("When"), _("What"), _("Name then"), _("Said by"), _("In uuidfs's words")],
                  history.events.map(event => [
                      event.time === null ? _("unknown") : whole(moment(event.time)),
                      eventOf(event.event),
                      event.name === null ? "" : data(event.name),
                      data(event.origin), data(event.text)])),
            ...(domain === null ? [] : [
                el("h3", {}, _("Files")),
                table(ngettext("$0 file", "$0 files", domain.files.length), [_("Name"), _("File under its UUID"), _("State")],
                      domain.files.map(file => [
                          file.name_path === null ? _("none") : code(file.name_path), code(file.uuid_path), badge(...stateOf(file.state))])),
            ]),
        ];
    }

    return view;
}
