"""What libvirt and the log rotators call files, and which names are never handled."""

import re

from uuidfs.layout.places import STORE

# virBufferEscapeString (libvirt 9.0), by which virPidFileBuildPath makes a path: XML's escapes, and
# no control character but tab and line breaks.
_ESCAPED = str.maketrans(
    {chr(code): None for code in range(1, 32) if chr(code) not in "\t\n\r"}
    | {"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;", "'": "&apos;"}
)


def config_target(text: str) -> str | None:
    """The UUID that one of our config links names, or None when it is not ours."""
    uuid = text[len(STORE) + 1 : -4]
    return uuid if text == f"{STORE}/{uuid}.xml" and is_uuid(uuid) else None


def log_target(text: str) -> tuple[str, str] | None:
    """The UUID and suffix that one of our log links names, or None when it is not ours."""
    return stored_log(text[len(STORE) + 1 :]) if text.startswith(f"{STORE}/") else None


def stored_log(entry: str) -> tuple[str, str] | None:
    """The UUID and suffix of a log's name in the store, or None when it is not ours.

    The suffix is what :func:`log_entry` puts it together from: the rotation, ".1", and for a
    helper's log what it is called and its rotation, "~fs0-virtiofsd~.1".
    """
    uuid, rest = entry[:36], entry[36:]
    if rest == ".log":
        return (uuid, "") if is_uuid(uuid) else None
    parts = split_log(entry)
    if parts is None or not is_uuid(uuid):
        return None
    if parts[0] == uuid:
        return parts
    tags = [tag for before, tag in helper_tags(parts[0]) if before == uuid]
    return (uuid, f"~{tags[0]}~{parts[1]}") if tags else None


def log_entry(owner: str, suffix: str) -> str:
    """The file name of a log: ``owner`` is the domain's name, or its UUID in the store.

    >>> log_entry("web", ".1"), log_entry("web", "~fs0-virtiofsd~.1")
    ('web.log.1', 'web-fs0-virtiofsd.log.1')
    """
    if suffix[:1] != "~":
        return f"{owner}.log{suffix}"
    _, tag, rotation = suffix.split("~")
    return f"{owner}-{tag}.log{rotation}"


def log_base(suffix: str) -> str:
    """The suffix of the log that is written now, of the log of this suffix."""
    return suffix[: suffix.rindex("~") + 1] if suffix[:1] == "~" else ""


def helper_tags(stem: str) -> list[tuple[str, str]]:
    """What the name of a helper's log may stand for: (domain's name, ALIAS-virtiofsd) or so.

    An alias of the user's begins with "ua-" and may have hyphens: then there are several.
    """
    if not stem.endswith(("-virtiofsd", "-vhost-user-gpu")):
        return []
    own = r"(?:fs\d+-virtiofsd|video\d+-vhost-user-gpu)\Z"
    given = r"ua-[A-Za-z0-9_-]+-(?:virtiofsd|vhost-user-gpu)\Z"
    places = [match.start() for match in re.finditer("-", stem)]
    return [
        (stem[:at], stem[at + 1 :])
        for at in places
        if at and re.match(f"{own}|{given}", stem[at + 1 :])
    ]


UUID_TEXT = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z"
)  # short: it is compiled at each start


# NAME.log, virtlogd's NAME.log.N, and logrotate's NAME.log.N, NAME.log-DATE (dateext),
# each compressed or not. Greedy on the left: a domain may itself be called x.log.
_LOG = re.compile(
    r"(?P<stem>.+)\.log"
    r"(?P<suffix>(?:\.\d+|-\d{8}(?:-\d+)?|-\d{10})?(?:\.(?:gz|bz2|xz|zst|lzma|lz4|Z))?)\Z",
    re.DOTALL,
)


def marked_once(entry: str, text: str | None) -> str | None:
    """The name of the domain that a mark for one autostart is for, None when it is no such mark.

    libvirt (11.2 to 12.8) makes NAME.xml.once as an absolute link to the domain's NAME.xml.
    """
    config = entry[: -len(".once")]
    if text is None or not entry.endswith(ONCE) or not text.endswith(f"/{config}"):
        return None
    return config[:-4]


def normal_uuid(text: str) -> str | None:
    """Return the canonical form of a UUID in any spelling that libvirt accepts, else None.

    libvirt's virUUIDParse ignores hyphens and surrounding white space and takes either case.
    """
    if UUID_TEXT.match(text):
        return text
    digits = text.strip().replace("-", "").lower()
    if len(digits) != 32 or not re.fullmatch("[0-9a-f]{32}", digits):
        return None
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def is_uuid(text: str) -> bool:
    """Tell whether ``text`` is a UUID exactly as uuidfs writes it into file names."""
    return UUID_TEXT.match(text) is not None


def refusal(name: str) -> str | None:
    """Return why a domain of this name is never handled, or None when it is.

    libvirt 9.0 accepts ``.`` and ``..``, later ones refuse them; all of them delete the trees
    snapshot/. or snapshot/.. on the way; they accept names that are not UTF-8 by domrename and
    lose the domain at the next start (docs/libvirt-facts.md, "Names").
    """
    if name in {".", ".."}:
        return (
            f"a domain named {name!r} is not handled: libvirt itself deletes the metadata of "
            "every domain when it renames or redefines it; give it another name"
        )
    if not name or "/" in name or "\0" in name:
        return "this is not a name that libvirt accepts"
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return (
            "a name that is not UTF-8 is not handled: libvirt cannot start such a domain and "
            "drops it at its next restart; rename it"
        )
    return None


def split_log(entry: str) -> tuple[str, str] | None:
    """Split a log's file name into (stem, suffix), or None when it is not a log's name.

    >>> split_log("web.log.1.gz")
    ('web', '.1.gz')
    """
    match = _LOG.match(entry)
    return (match["stem"], match["suffix"]) if match else None


LINK_TEMP = "~link"  # of a config or log: UUID~link; in a metadata store's UUID directory: as is

KEEP_TEMP = "~keep"

# In a metadata store's UUID directory: a symlink that says the inode of the directory at the name,
# as it was when something in that proved it to be the domain's.
DIRECTORY_MARK = "~directory"

UNDELETE_MARK = "~undelete"  # in kept/UUID: a symlink that says which label an undelete brings back
ONCE_MARK = "~once"  # in the config store, UUID~once: a hard link to the domain's autostart mark

ONCE = ".xml.once"  # autostart/NAME.xml.once, libvirt's mark for one autostart (11.2 and later)

NOBODY = "00000000-0000-0000-0000-000000000000"
"""No domain has this UUID (libvirt refuses it): what belongs to none is looked at under it."""

MOVED_MARK = "~moved"  # in the log store, UUID~moved: see steps.Op.MARK

TAKEN = "taken"  # what it says


def pid_file(name: str) -> str:
    """The name of the pid file of a domain's QEMU process: ``a'b`` has ``a&apos;b.pid``."""
    return f"{name.translate(_ESCAPED)}.pid"
