"""Logs of a domain's helpers: NAME-ALIAS-virtiofsd.log and NAME-ALIAS-vhost-user-gpu.log.

Such a name does not tell where the domain's name ends, and it may be another domain's own log. One
of our links tells by its text. A file counts as a domain's only where that domain's XML has such a
device (libvirt 9.0 to 12.8 numbers them fs0, fs1..., video0..., or takes an alias that begins with
"ua-").
"""

from uuidfs.errors import UuidfsError
from uuidfs.files.directory import opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.names import helper_tags
from uuidfs.layout.places import Kind
from uuidfs.survey.identity import MAX_BYTES
from uuidfs.survey.scan import Scan

_DEVICES = {"virtiofsd": b"virtiofs", "vhost-user-gpu": b"vhostuser"}


def owner(dirs: TrustedDirs, scan: Scan, stem: str) -> tuple[str, str] | None:
    """The domain and the helper that a log's name without ``.log`` stands for; None in doubt.

    ``scan`` has to have all names already.
    """
    if stem in scan.uuid_of:
        return None
    found = [
        (name, tag)
        for name, tag in helper_tags(stem)
        if name in scan.uuid_of and _has(dirs, scan, name, tag)
    ]
    return found[0] if len(found) == 1 else None


def _has(dirs: TrustedDirs, scan: Scan, name: str, tag: str) -> bool:
    """Whether the config or the status XML has the device of the helper, by its words alone."""
    alias, device = tag, b""
    for helper, word in _DEVICES.items():
        if tag.endswith(f"-{helper}"):
            alias, device = tag[: -len(helper) - 1], word
    for data in _documents(dirs, scan, name):
        if device in data and (not alias.startswith("ua-") or f"'{alias}'".encode() in data):
            return True
    return False


def _documents(dirs: TrustedDirs, scan: Scan, name: str) -> list[bytes]:
    found = []
    try:
        linked = scan.configs.get(f"{name}.xml") is not None
        config = dirs.store(Kind.CONFIG) if linked else dirs.names(Kind.CONFIG)
        entry = f"{scan.uuid_of[name]}.xml" if linked else f"{name}.xml"
        found.append(config.read(entry, MAX_BYTES) if config is not None else None)
        status = opened(dirs.layout.status)
        if status is not None:
            with status:
                there = status.look(f"{name}.xml")
                if there is not None and there.uid in dirs.trusted:
                    found.append(status.read(f"{name}.xml", MAX_BYTES, there))
    except UuidfsError:
        pass  # what could be read has to do: the file is left alone for now
    return [data for data in found if data is not None]
