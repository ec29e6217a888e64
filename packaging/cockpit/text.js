// Words: translated ones, and words of others made harmless.

const cockpit = window.cockpit;

export const _ = text => cockpit.gettext(text);

export const ngettext = (one, many, number) =>
    cockpit.format(cockpit.ngettext(one, many, number), number);

// For a text that is in a table: it is translated where it is shown.
export const N_ = text => text;

// $0 and so on filled with texts.
export const fmt = (text, ...words) => cockpit.format(text, ...words);

// What a terminal or a browser would act upon instead of showing it: control characters, halves of
// pairs (which stand for bytes that are no UTF-8), and what turns the direction of writing or has
// no width. A domain may be called so, and a guest that has taken QEMU over writes into its log.
const UNSEEN =
    /[\p{Cc}\p{Cs}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]/gu;

const escaped = character => `\\u{${character.codePointAt(0).toString(16)}}`;

// A text of somebody else, with escapes for what cannot be seen.
export const visible = text => String(text).replace(UNSEEN, escaped);

// A line of a log: tabs stay.
export const visibleLine = text => text.replace(UNSEEN, each => each === "\t" ? each : escaped(each));

export const bytes = number => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    while (number >= 1024 && unit < units.length - 1) {
        number /= 1024;
        unit += 1;
    }
    const digits = unit === 0 || number >= 100 ? 0 : 1;
    return `${number.toLocaleString(language(), { maximumFractionDigits: digits })} ${units[unit]}`;
};

export const language = () => (cockpit.language || "en").replace("_", "-");

// A moment as uuidfs writes it, in the browser's zone and the language's way.
export const moment = text => {
    const when = new Date(text);
    return Number.isNaN(when.getTime())
        ? visible(text)
        : when.toLocaleString(language(), { dateStyle: "medium", timeStyle: "medium" });
};
