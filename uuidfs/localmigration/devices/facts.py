"""What a domain's XML does not tell and the host knows: taps, network filters, directories.

Pure. :mod:`uuidfs.localmigration.look_at_host` looks, before the trip; the peer's hook reads it
from a file, since it has to come to the same answers.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NONE: Mapping[str, "Link"] = MappingProxyType({})
_NO_SHARES: Mapping[str, "Share"] = MappingProxyType({})
_NO_PATHS: Mapping[str, str] = MappingProxyType({})


class Link(NamedTuple):
    """A network device of the host. ``bridge``: the Linux bridge that it is a port of, if any.

    ``vlans``: that bridge filters by VLAN. ``isolated``: the port talks to no other such port.
    """

    bridge: str | None = None
    vlans: bool = False
    isolated: bool = False


class Share(NamedTuple):
    """A shared directory. ``words``: the command line of the virtiofsd that serves it now.

    ``why``: what of the directory itself keeps the guest here, if anything.
    """

    words: tuple[str, ...] = ()
    why: str | None = None


class HostFacts(NamedTuple):
    """``links``: devices by name, those that somebody else than libvirt put on a bridge.

    ``filters``: which network filters there are, and whether each needs the guest's address from
    outside. None where the peer could have none: on a modular host virtnwfilterd has them.
    ``shares``: directories of virtiofs by alias, those whose virtiofsd runs.
    ``firmware``: paths of the firmware's files, -> the path of the same file that no other domain
    can get. ``astray``: those at which another file lies than QEMU has open.
    """

    links: Mapping[str, Link] = _NONE
    filters: Mapping[str, bool] | None = None
    shares: Mapping[str, Share] = _NO_SHARES
    firmware: Mapping[str, str] = _NO_PATHS
    astray: tuple[str, ...] = ()


def to_text(facts: HostFacts) -> str:
    """As JSON."""
    links = {name: link._asdict() for name, link in facts.links.items()}
    filters = None if facts.filters is None else dict(facts.filters)
    shares = {name: share._asdict() for name, share in facts.shares.items()}
    return json.dumps(
        {
            "links": links,
            "filters": filters,
            "shares": shares,
            "firmware": dict(facts.firmware),
            "astray": facts.astray,
        }
    )


def from_text(text: str) -> HostFacts:
    """What ``to_text`` wrote. Raises ValueError."""
    try:
        found = json.loads(text)
        links = {str(name): Link(**link) for name, link in found["links"].items()}
        shares = {
            str(name): Share(tuple(share["words"]), share["why"])
            for name, share in found["shares"].items()
        }
        firmware = {str(path): str(own) for path, own in found["firmware"].items()}
        return HostFacts(links, found["filters"], shares, firmware, tuple(found["astray"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"these are no facts about the host: {error}") from error
