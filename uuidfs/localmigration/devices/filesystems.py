"""Shared directories (virtiofs): a virtiofsd process of its own on either side.

QEMU takes along what a virtiofsd knows of the guest's files. Both processes see one directory on
one host, so files can be handed over as the file handles of name_to_handle_at(2): the same inode,
or an error that ends the hop. virtiofsd's own way, by paths, can end in another file, and can hand
over none that has lost its name.
"""

from collections.abc import Iterator, Sequence

from lxml import etree

from uuidfs.localmigration.devices.facts import HostFacts, Share
from uuidfs.localmigration.domain_xml import found, label

WRAPPER = "/usr/sbin/uuidfs-virtiofsd"

"""Starts virtiofsd with what it needs, where a filesystem's <binary path> names it."""

GIVEN = ("--migration-mode=file-handles", "--modcaps=+dac_read_search")

"""What it adds to the command line."""

_MODE, _CAPS, _ERRORS = "--migration-mode", "--modcaps", "--migration-on-error"


def obstacles(live: etree._Element, facts: HostFacts) -> Iterator[str]:
    """Why a directory keeps the guest here, each with its name; of the live XML."""
    for device in shared(live):
        share = facts.shares.get(alias(device))
        if (why := _obstacle(device, share)) is not None:
            yield f"{label(device)}: {why}"


def obstacles_meanwhile(
    migratable: etree._Element, live: etree._Element, facts: HostFacts
) -> Iterator[str]:
    """The same for the XML that libvirt sends (11.3: without aliases)."""
    known = [_key(device) for device in shared(live)]
    for device in shared(migratable):
        if _key(device) not in known:
            yield f"{label(device)}: it was plugged in or changed a moment ago; try again"
    yield from obstacles(live, facts)


def shared(domain: etree._Element) -> list[etree._Element]:
    """Those of virtiofs; 9p's are QEMU's own."""
    return found(domain, "devices/filesystem[driver/@type='virtiofs']")


def alias(device: etree._Element) -> str:
    """What libvirt calls it, also in the name of its virtiofsd's pid file."""
    name = device.find("alias")
    return name.get("name", "") if name is not None else ""


def _key(device: etree._Element) -> tuple[str | None, ...]:
    paths = ("source", "dir"), ("source", "socket"), ("target", "dir"), ("binary", "path")
    elements = ((device.find(tag), attribute) for tag, attribute in paths)
    return tuple(e.get(attribute) if e is not None else None for e, attribute in elements)


def _obstacle(device: etree._Element, share: Share | None) -> str | None:
    source = device.find("source")
    if source is not None and source.get("socket") is not None:
        return "its virtiofsd is somebody else's, and one process has its socket"
    if share is None:
        return "its virtiofsd cannot be found: it has ended, or was plugged in a moment ago"
    return unsafe(share.words) or share.why


def unsafe(words: Sequence[str]) -> str | None:
    """Why a virtiofsd with this command line cannot hand over what the guest has open."""
    modes, caps = _values(words, _MODE), _values(words, _CAPS)
    given = {one for value in caps for one in value.split(":")}
    if modes != ["file-handles"] or "+dac_read_search" not in given:
        return (
            "its virtiofsd would find open files again by paths, which others may change; it has "
            f"to be started by <binary path='{WRAPPER}'/> (libvirt 11.3, virtiofsd 1.13)"
        )
    if _values(words, _ERRORS) not in ([], ["abort"]):
        return f"its virtiofsd may lose files on the way, as {_ERRORS} says"
    if _values(words, "--uid-map") or _values(words, "--gid-map"):
        return "its <idmap> is a user namespace, in which the kernel opens no file handles"
    return None


def directory(words: Sequence[str]) -> str:
    """What a virtiofsd with this command line serves; empty when it does not say."""
    return "".join(_values(words, "--shared-dir"))


def _values(words: Sequence[str], option: str) -> list[str]:
    """What is said to an option, as ``--option=VALUE`` or in two words."""
    found = [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
    found += [words[n + 1] for n, word in enumerate(words[:-1]) if word == option]
    return found
