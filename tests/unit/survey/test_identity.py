from collections.abc import Callable

import pytest

from uuidfs.survey.identity import Identity, read_expat
from uuidfs.survey.identity_lxml import read_lxml

UUID = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"
BODY = f"<name>web</name><uuid>{UUID}</uuid>"
Read = Callable[[bytes], Identity | str]
both = pytest.mark.parametrize("read", [read_lxml, read_expat])


@both
@pytest.mark.parametrize(
    ("text", "identity"),
    [
        (f"<domain>{BODY}</domain>", Identity("domain", "web", UUID)),
        (f"<!-- auto -->\n<domain type='qemu'>{BODY}</domain>", Identity("domain", "web", UUID)),
        (
            f"<domain><uuid>{UUID.upper()}</uuid><name>a&amp;b&#10;</name></domain>",
            Identity("domain", "a&b\n", UUID),
        ),
        (f"<domain>{BODY}<name>second</name></domain>", Identity("domain", "web", UUID)),
        (
            f"<domain><x>{BODY}</x><name>n</name><uuid>{UUID}</uuid></domain>",
            Identity("domain", "n", UUID),
        ),
        (
            f"<domain><name>a<!-- c -->b<i>c</i></name><uuid>{UUID}</uuid></domain>",
            Identity("domain", "abc", UUID),
        ),
        (f"<domstatus><domain>{BODY}</domain></domstatus>", Identity("domstatus", "web", UUID)),
        (
            f"<domainsnapshot><name>s</name><domain>{BODY}</domain></domainsnapshot>",
            Identity("domainsnapshot", "s", UUID),
        ),
        ("<domainsnapshot><name>s</name></domainsnapshot>", Identity("domainsnapshot", "s", None)),
        (
            f"<domaincheckpoint><name>c</name><domain>{BODY}</domain></domaincheckpoint>",
            Identity("domaincheckpoint", "c", UUID),
        ),
    ],
)
def test_documents_of_libvirt_tell_who_they_are_about(
    read: Read, text: str, identity: Identity
) -> None:
    assert read(text.encode()) == identity


@both
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not well-formed"),
        ("<domain>", "not well-formed"),
        ("<network/>", "root element"),
        (f"<domain><uuid>{UUID}</uuid></domain>", "no <name>"),
        (f"<domain><name/><uuid>{UUID}</uuid></domain>", "no <name>"),
        ("<domain><name>web</name></domain>", "no <uuid>"),
        ("<domain><name>web</name><uuid>1</uuid></domain>", "not a UUID"),
        (f"<!DOCTYPE domain><domain>{BODY}</domain>", "document type declaration"),
        (
            '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
            f"<domain><name>&x;</name><uuid>{UUID}</uuid></domain>",
            "document type declaration",
        ),
    ],
)
def test_everything_else_is_refused_with_the_reason(read: Read, text: str, reason: str) -> None:
    answer = read(text.encode())
    assert isinstance(answer, str)
    assert reason in answer


@both
def test_entities_never_expand(read: Read) -> None:
    bomb = (
        '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">'
        + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(8))
        + f"]><domain><name>&i;</name><uuid>{UUID}</uuid></domain>"
    )
    assert isinstance(read(bomb.encode()), str)
