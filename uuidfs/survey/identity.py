"""Who a document is about: root element, name and UUID.

The CLI reads with lxml. The hook cannot afford its import and reads with expat; a property
test holds that both give the same answer. Neither resolves entities, loads a DTD or touches
the network: a document type declaration alone is a refusal, libvirt never writes one.
"""

from collections.abc import Callable
from typing import NamedTuple

from uuidfs.layout.names import normal_uuid

MAX_BYTES = 16 * 1024 * 1024  # libvirt's own limit for a string on the wire is 4 MiB


ROOTS = ("domain", "domstatus", "domainsnapshot", "domaincheckpoint")


class Identity(NamedTuple):
    """``root`` element; ``name`` and ``uuid`` of the domain that the document describes.

    For a snapshot or checkpoint ``name`` is that object's own, and ``uuid`` is None when
    the document embeds no domain (both are legal in libvirt 9.0 and 11.3).
    """

    root: str
    name: str | None
    uuid: str | None


Reader = Callable[[bytes], "Identity | str"]

"""Returns the identity, or the reason why there is none."""


def judge(root: str, name: str | None, uuid: str | None) -> Identity | str:
    """Turn what a parser found into an identity, or the reason why it is none."""
    if root not in ROOTS:
        return f"its root element is <{root[:40]}>, not one of libvirt's"
    plain = normal_uuid(uuid) if uuid is not None else None
    if uuid is not None and plain is None:
        return "its <uuid> is not a UUID"
    if root in {"domain", "domstatus"}:
        if not name:
            return "it has no <name>"
        if plain is None:
            return "it has no <uuid>"
    return Identity(root, name or None, plain)


def read_expat(data: bytes) -> Identity | str:
    """Read a document with the standard library's expat, which imports in 1 ms."""
    from xml.parsers import expat

    sieve = _Sieve()
    parser = expat.ParserCreate()
    parser.StartElementHandler = sieve.start
    parser.EndElementHandler = sieve.end
    parser.CharacterDataHandler = sieve.text
    parser.StartDoctypeDeclHandler = sieve.doctype
    try:
        parser.Parse(data, True)
    except _DoctypeError:
        return "it has a document type declaration"
    except (expat.ExpatError, ValueError, LookupError) as error:
        return f"it is not well-formed XML ({one_line(error)})"
    return judge(sieve.root, sieve.found("name"), sieve.found("uuid"))


class _Sieve:
    """Collects the first <name> and <uuid> where read_lxml looks for them."""

    def __init__(self) -> None:
        self.root = ""
        self._path: list[tuple[str, int]] = []  # tag, and its number among equals
        self._seen: dict[tuple[tuple[str, int], ...], int] = {}
        self._texts: dict[str, list[str]] = {}
        self._collecting: list[str] | None = None
        self._depth = 0

    def found(self, key: str) -> str | None:
        return "".join(self._texts[key]) if key in self._texts else None

    def start(self, tag: str, _attributes: dict[str, str]) -> None:
        self.root = self.root or tag
        depth = len(self._path)
        number = 0
        if depth <= 2 and tag in {"domain", "name", "uuid"}:  # nothing deeper is looked for
            key = (*self._path, (tag, 0))
            number = self._seen.get(key, 0)
            self._seen[key] = number + 1
        self._path.append((tag, number))
        wanted = {
            "uuid": self._domain_path(),
            "name": self._domain_path() if self.root == "domstatus" else [self.root],
        }.get(tag)
        if wanted is not None and self._path == [(part, 0) for part in (*wanted, tag)]:
            self._collecting = self._texts.setdefault(tag, [])
            self._depth = depth

    def _domain_path(self) -> list[str]:
        return ["domain"] if self.root == "domain" else [self.root, "domain"]

    def end(self, _tag: str) -> None:
        self._path.pop()
        if len(self._path) == self._depth:
            self._collecting = None

    def text(self, piece: str) -> None:
        if self._collecting is not None:
            self._collecting.append(piece)

    def doctype(self, *_: object) -> None:
        raise _DoctypeError


class _DoctypeError(Exception):
    """Ends an expat parse at a document type declaration."""


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
