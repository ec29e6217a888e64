// Asks before something is done, and says what came of it. Errors stand where they belong.

import { _, fmt } from "./text.js";
import { button, code, el, notice, withKey } from "./dom.js";
import { Failed } from "./run.js";

// An error as it is: what uuidfs said, its exit status, and the command.
export function failure(error) {
    if (!(error instanceof Failed))
        return notice("danger", _("This page has failed"), el("pre", {}, String(error.stack || error)));
    let title = _("uuidfs has failed");
    if (error.problem === "not-found")
        title = _("uuidfs is not installed");
    else if (error.problem === "access-denied")
        title = _("This needs administrative access");
    else if (error.status !== null)
        title = fmt(_("uuidfs has failed with exit status $0"), error.status);
    return notice("danger", title, el("pre", {}, error.message), el("p", { class: "quiet" }, _("The command was: "), code(error.command)));
}

let number = 0;

// title: a text. body: nodes. action: what the button says. kind: danger where something is lost.
// run: does it; while it runs the dialog stays, and it stays with the error where it fails.
// Resolves to what run returned, or to undefined when nothing was done.
export function ask({ title, body, action, kind = "primary", run }) {
    number += 1;
    const opener = document.activeElement;
    const key = opener?.dataset?.key;
    const said = el("div", { class: "said", "aria-live": "polite" });
    const ok = el("button", { type: "submit", class: `button ${kind}` }, action);
    const cancel = button(_("Cancel"), () => dialog.close());
    const form = el("form", { method: "dialog" },
                    el("h2", { id: `dialog-${number}`, tabindex: "-1" }, title),
                    el("div", { class: "content", id: `dialog-${number}-body` }, body), said,
                    el("div", { class: "actions" }, ok, cancel));
    const dialog = el("dialog", { "aria-labelledby": `dialog-${number}`, "aria-describedby": `dialog-${number}-body` }, form);
    return new Promise(resolve => {
        let result;
        let busy = false;
        form.addEventListener("submit", async event => {
            event.preventDefault();
            if (busy)
                return;
            busy = true;
            ok.setAttribute("aria-disabled", "true");
            said.replaceChildren(el("p", { class: "busy" }, _("Working …")));
            try {
                result = await run();
                dialog.close();
            } catch (error) {
                said.replaceChildren(failure(error));
            }
            busy = false;
            ok.removeAttribute("aria-disabled");
        });
        // Escape would hide what is still going on.
        dialog.addEventListener("cancel", event => busy && event.preventDefault());
        cancel.addEventListener("click", event => busy && event.stopImmediatePropagation(), true);
        // Somebody went back, or followed a link: the question is about what is not shown any more.
        const leave = () => busy || dialog.close();
        window.addEventListener("hashchange", leave);
        dialog.addEventListener("close", () => {
            window.removeEventListener("hashchange", leave);
            dialog.remove();
            const again = opener?.isConnected ? opener : withKey(document, key);
            (again || document.querySelector("h2"))?.focus();
            resolve(result);
        });
        document.body.append(dialog);
        dialog.showModal();
        // Who only presses Enter has not lost anything.
        (dialog.querySelector("input") || (kind === "danger" ? cancel : ok)).focus();
    });
}
