// Runs uuidfs, always with --json, and as root by Cockpit's own means.

import { _, fmt } from "./text.js";

const cockpit = window.cockpit;

// Of the JSON; uuidfs adds fields under the same number.
const VERSION = 1;

// uuidfs ended with no result. text: what it said; command: what was run; status: how it ended.
export class Failed extends Error {
    constructor(text, command, status, problem = null) {
        super(text);
        this.command = command;
        this.status = status;
        this.problem = problem;
    }
}

const quoted = word => /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

// Objects in a stream: one a line, or one over several lines, the last of which is "}" alone. Each text is
// parsed once: of a thousand domains it is long.
export class Objects {
    constructor(tell) {
        this.tell = tell;
        this.rest = [];
        this.kept = [];
    }

    add(text) {
        const lines = text.split("\n");
        this.rest.push(lines.shift());
        for (const line of lines) {
            this.line(this.rest.join(""));
            this.rest = [line];
        }
    }

    line(line) {
        this.kept.push(line);
        if (line !== "}" && (this.kept.length > 1 || !line.endsWith("}")))
            return;
        let found;
        try {
            found = JSON.parse(this.kept.join("\n"));
        } catch {
            return; // no object: it is shown as it is in the end
        }
        this.kept = [];
        this.tell(found);
    }

    end() {
        this.line(this.rest.join(""));
        this.rest = [];
        return this.kept.join("\n").trim();
    }
}

// Starts one. words: of the command, without --json; what comes from data has to follow "--" or be
// the value of an option in one word. each: is called with each object as it comes.
//
// done: a promise of the last object, with the exit status as "status" and standard error as
// "said". It is rejected with Failed where there is no such object, or one with an "error".
// close(): ends it by SIGTERM.
export function start(words, each = () => {}) {
    const at = words.indexOf("--");
    const argv = at < 0
        ? ["uuidfs", ...words, "--json"]
        : ["uuidfs", ...words.slice(0, at), "--json", ...words.slice(at)];
    const command = argv.map(quoted).join(" ");
    let last = null;
    let wrong = null;
    const objects = new Objects(found => {
        if (found.version !== VERSION)
            wrong = fmt(_("uuidfs writes version $0 of its output, and this page reads version $1. Update both packages."), found.version, VERSION);
        last = found;
        each(found);
    });
    const process = cockpit.spawn(argv, { superuser: "require", err: "message" });
    const done = new Promise((resolve, reject) => {
        const over = (status, said, problem) => {
            const rest = objects.end();
            const failed = text => reject(new Failed(text, command, status, problem));
            if (wrong !== null)
                failed(wrong);
            else if (last !== null && "error" in last)
                failed(last.error);
            else if (last === null || problem || rest)
                failed([said, rest].filter(text => text).join("\n") || _("It said nothing."));
            else
                resolve({ ...last, status, said });
        };
        process.stream(text => objects.add(text));
        process.done((text, said) => over(0, said || "", null));
        process.fail(error => over(error.exit_status ?? null, error.message || "", error.problem));
    });
    return { done, close: () => process.close("terminated") };
}

export const uuidfs = (...words) => start(words).done;

// SIGINT to an uuidfs that moves guests: those on their way out stay, those that are away come home.
export const interrupt = pid =>
    cockpit.spawn(["kill", "-s", "INT", "--", String(pid)], { superuser: "require", err: "message" });
