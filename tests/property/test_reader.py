"""Fuzzing of what reads other people's bytes: the XML readers and the name parsers."""

import os
import random
from xml.sax.saxutils import escape

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.trees import domain_xml, snapshot_xml, status_xml, uuid_for
from uuidfs.errors import show
from uuidfs.layout.names import config_target, is_uuid, log_target, normal_uuid, refusal, split_log
from uuidfs.survey.identity import ROOTS, Identity, read_expat
from uuidfs.survey.identity_lxml import read_lxml

MANY = settings(max_examples=int(os.environ.get("UUIDFS_EXAMPLES", "300")), deadline=None)

SEEDS = [
    domain_xml("web", uuid_for("web")),
    status_xml("web", uuid_for("web")),
    snapshot_xml("s", "web", uuid_for("web")),
    snapshot_xml("c", "web", uuid_for("web"), "domaincheckpoint"),
]
NAMES = st.text(st.characters(blacklist_categories=["Cs", "Cc"], max_codepoint=0xFFFD))


def _mangled(seed: int) -> bytes:
    """A document of libvirt's with bytes changed, cut, doubled or swapped."""
    dice = random.Random(seed)
    data = bytearray(dice.choice(SEEDS))
    for _ in range(dice.randint(1, 6)):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randint(1, 40)]
            case 2:
                data[at:at] = data[at : at + dice.randint(1, 40)]
            case 3:
                data[at:at] = dice.choice([b"<!DOCTYPE x>", b"&x;", b"<name>", b"\xff\xfe", b"]]>"])
        if not data:
            break
    return bytes(data)


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Small well-formed documents of libvirt's elements in any arrangement."""

    def element(depth: int) -> str:
        tag = draw(st.sampled_from(["domain", "name", "uuid", "inactiveDomain", "parent"]))
        if depth == 0 or tag in {"name", "uuid"}:
            text = draw(NAMES | st.just(uuid_for("a")) | st.just(uuid_for("b").upper()))
            extra = draw(st.sampled_from(["", "<!-- c -->", "<b>x</b>", "&#10;", "<?pi x?>"]))
            return f"<{tag}>{escape(text)}{extra}</{tag}>"
        inner = "".join(element(depth - 1) for _ in range(draw(st.integers(0, 3))))
        return f"<{tag}>{inner}</{tag}>"

    root = draw(st.sampled_from([*ROOTS, "network"]))
    body = "".join(element(2) for _ in range(draw(st.integers(0, 4))))
    return f"<{root}>{body}</{root}>".encode()


@MANY
@given(documents())
def test_both_readers_agree_on_every_well_formed_document(data: bytes) -> None:
    assert read_lxml(data) == read_expat(data)


@MANY
@given(st.binary(max_size=400) | st.integers(0, 10**9).map(_mangled))
def test_no_bytes_make_a_reader_raise_or_disagree_on_an_identity(data: bytes) -> None:
    answers = [read_lxml(data), read_expat(data)]
    identities = [a for a in answers if isinstance(a, Identity)]
    assert len(set(identities)) <= 1
    for identity in identities:
        assert identity.root in ROOTS
        assert identity.uuid is None or is_uuid(identity.uuid)


@MANY
@given(st.text(min_size=1).filter(lambda t: "/" not in t and "\0" not in t))
def test_the_name_parsers_take_any_text(text: str) -> None:
    parts = split_log(text)
    assert parts is None or f"{parts[0]}.log{parts[1]}" == text
    assert split_log(f"{text}.log") == (text, "")
    refusal(text)
    config_target(text)
    log_target(text)
    assert normal_uuid(text) is None or len(text.strip()) >= 32
    assert "\n" not in show(text)
    assert show(text).isprintable()


@MANY
@given(NAMES.filter(bool), st.sampled_from(["", ".0", ".12", ".1.gz", "-20260101", "-20260101.xz"]))
def test_a_logs_name_splits_back_into_what_it_was_made_of(name: str, suffix: str) -> None:
    assert split_log(f"{name}.log{suffix}") == (name, suffix)
