// Light or dark, as Cockpit's shell is: pages are told by an event, and by what the shell stored.

const preferred = window.matchMedia("(prefers-color-scheme: dark)");

function apply(style) {
    const wanted = style || window.localStorage.getItem("shell:style") || "auto";
    document.documentElement.classList.toggle("dark", wanted === "dark" || (wanted === "auto" && preferred.matches));
}

export function followTheme() {
    window.addEventListener("cockpit-style", event => apply(event.detail.style));
    window.addEventListener("storage", event => event.key === "shell:style" && apply());
    preferred.addEventListener("change", () => apply());
    apply();
}
