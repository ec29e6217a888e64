// What uuidfs calls things in its JSON, in people's words. A word that is not here is shown as it is.

import { N_, _, ngettext, visible } from "./text.js";

// docs/design.md of uuidfs has them: how far a file is on its way behind its link.
const STATES = {
    converted: ["good", N_("converted")],
    plain: ["info", N_("not converted")],
    partial: ["info", N_("partly converted")],
    stale: ["info", N_("newer file at the name")],
    rotated: ["info", N_("rotation not followed yet")],
    moved: ["info", N_("link under a former name")],
    stray: ["warning", N_("link in a directory of no domain")],
    misfiled: ["warning", N_("checkpoint among the snapshots")],
    unreferenced: ["warning", N_("no name refers to it")],
    missing: ["danger", N_("link without its file")],
    conflict: ["danger", N_("left alone: needs a look")],
};

export const stateOf = state => {
    const [kind, word] = STATES[state] || ["warning", visible(state)];
    return [kind, _(word)];
};

const KINDS = {
    config: number => ngettext("$0 config", "$0 configs", number),
    log: number => ngettext("$0 log", "$0 logs", number),
    snapshot: number => ngettext("$0 snapshot", "$0 snapshots", number),
    checkpoint: number => ngettext("$0 checkpoint", "$0 checkpoints", number),
    kept: number => ngettext("$0 file of its own", "$0 files of its own", number),
};

export const countOf = (kind, number) => KINDS[kind] ? KINDS[kind](number) : `${number} ${visible(kind)}`;

const PROMISES = {
    P1: N_("libvirt never notices"),
    P2: N_("no write is lost"),
    P3: N_("what libvirt deletes are links"),
    P5: N_("one domain has one lock"),
    P6: N_("a kill leaves what the next run finishes"),
    P7: N_("directories of QEMU's user are hostile"),
    P9: N_("one guest has one running copy"),
    name: N_("two domains share a file by their names"),
};

export const promiseOf = promise => promise in PROMISES ? _(PROMISES[promise]) : "";

const EVENTS = {
    named: N_("first start"),
    renamed: N_("renamed"),
    left: N_("left its process"),
    arrived: N_("arrived in a process"),
    trip: N_("local migration"),
    converted: N_("converted"),
    saved: N_("definition saved"),
    written: N_("log written"),
    trashed: N_("put into the trash"),
    noted: N_("noted"),
};

export const eventOf = event => event in EVENTS ? _(EVENTS[event]) : visible(event);

const REASONS = {
    "binary-replaced": N_("QEMU was replaced"),
    "binary-missing": N_("QEMU was removed"),
    "library-replaced": N_("a library was replaced"),
    "library-missing": N_("a library was removed"),
    "emulator-changed": N_("the definition names another emulator"),
    "emulator-missing": N_("the emulator of the definition is missing"),
};

export const reasonOf = kind => kind in REASONS ? _(REASONS[kind]) : visible(kind);

const OUTCOMES = {
    moved: ["good", N_("moved")],
    can_move: ["good", N_("can move")],
    up_to_date: ["info", N_("up to date already")],
    refused: ["warning", N_("cannot move; nothing was changed")],
    busy: ["warning", N_("busy: somebody else is at it")],
    failed: ["danger", N_("failed")],
    not_begun: ["info", N_("not begun")],
};

export const outcomeOf = outcome => {
    const [kind, word] = OUTCOMES[outcome] || ["info", visible(outcome)];
    return [kind, _(word)];
};
