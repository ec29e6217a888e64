"""Which places a libvirt connection uses: system, session, embed, or all below a directory."""

import os

from uuidfs.errors import UsageError
from uuidfs.layout.places import STORE, Kind, Layout, Place


def _assemble(
    uri: str,
    *,
    config: Place,
    log: Place,
    lib: Place,
    state: Place,
    status: Place,
    locks: Place,
    live: bool,
) -> Layout:
    """``lib`` holds snapshot/ and checkpoint/ (hostile); ``state`` is the directory above it."""
    names = {Kind.CONFIG: config, Kind.LOG: log}
    stores = {Kind.CONFIG: config.child(STORE), Kind.LOG: log.child(STORE)}
    for kind in (Kind.SNAPSHOT, Kind.CHECKPOINT):
        names[kind] = lib.child(kind.value)
        stores[kind] = state.child(STORE, kind.value)
    return Layout(uri, names, stores, status, locks, live)


def system(root: str | None = None) -> Layout:
    """The system driver's layout, or the same below ``root`` (links in it are not followed)."""

    def place(path: str) -> Place:
        if root is None:
            return Place("/" + path)
        return Place(os.path.abspath(root), tuple(path.split("/")))

    return _assemble(
        "qemu:///system",
        config=place("etc/libvirt/qemu"),
        log=place("var/log/libvirt/qemu"),
        lib=place("var/lib/libvirt").child("qemu"),
        state=place("var/lib/libvirt"),
        status=place("run/libvirt/qemu"),
        locks=place("run").child("uuidfs", "lock"),
        live=root is None,
    )


def embed(root: str) -> Layout:
    """The layout of ``qemu:///embed?root=ROOT`` (docs/libvirt-facts.md, "Where the files are")."""
    base = Place(os.path.abspath(root))
    return _assemble(
        f"qemu:///embed?root={root}",
        config=base.child("etc", "qemu"),
        log=base.child("log", "qemu"),
        lib=base.child("lib", "qemu"),
        state=base.child("lib"),
        status=base.child("run", "qemu"),
        locks=base.child("run", "uuidfs", "lock"),
        live=False,
    )


def session(environ: dict[str, str]) -> Layout:
    """The layout of ``qemu:///session`` for the user whose environment this is."""
    home = environ.get("HOME")
    if not home:
        raise UsageError("qemu:///session needs HOME in the environment")
    config = Place((environ.get("XDG_CONFIG_HOME") or f"{home}/.config") + "/libvirt")
    cache = Place((environ.get("XDG_CACHE_HOME") or f"{home}/.cache") + "/libvirt")
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return _assemble(
        "qemu:///session",
        config=config.child("qemu"),
        log=cache.child("qemu", "log"),
        lib=config.child("qemu"),
        state=config,
        status=Place(runtime + "/libvirt/qemu", ("run",)),
        locks=Place(runtime, ("uuidfs", "lock")),
        live=True,
    )


def from_uri(uri: str, environ: dict[str, str]) -> Layout:
    """Return the layout that belongs to a libvirt connection URI; raises UsageError."""
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(uri)
    if parts.scheme == "qemu" and not parts.netloc:
        if parts.path == "/system":
            return system()
        if parts.path == "/session":
            return session(environ)
        if parts.path == "/embed":
            root = parse_qs(parts.query).get("root", [""])[0]
            if root.startswith("/"):
                return embed(root)
            raise UsageError("qemu:///embed needs an absolute root: qemu:///embed?root=DIR")
    raise UsageError(
        f"cannot handle --connect {uri}: known are qemu:///system, qemu:///session "
        "and qemu:///embed?root=DIR"
    )
