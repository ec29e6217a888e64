"""Short UUIDs, and names that are like a word."""

import pytest

from uuidfs.layout.names import NOBODY
from uuidfs.layout.words import alike, beginning_so, short_uuids

ONE = "4e26ce7e-8807-561b-9b95-3ab2d3c535f6"
TWIN = "4e26ce7e-8807-561b-9b95-3ab2d3c535f7"
COUSIN = "4e26ce7e-1807-561b-9b95-3ab2d3c535f6"
OTHER = "ad23df54-fe0c-5774-8e88-9d4ec29b6a6a"


def test_a_short_uuid_has_eight_digits_or_as_many_as_it_takes() -> None:
    assert short_uuids([ONE, OTHER]) == {ONE: "4e26ce7e", OTHER: "ad23df54"}
    assert short_uuids([ONE, COUSIN])[ONE] == "4e26ce7e-8"
    assert short_uuids([ONE, TWIN, COUSIN, OTHER]) == {
        ONE: ONE,
        TWIN: TWIN,
        COUSIN: "4e26ce7e-1",
        OTHER: "ad23df54",
    }
    assert short_uuids([]) == {}


def test_each_short_uuid_leads_to_its_own_and_to_no_other() -> None:
    uuids = [ONE, TWIN, COUSIN, OTHER]
    for uuid, short in short_uuids(uuids).items():
        if len(short) < 36:
            assert beginning_so(uuids, short) == [uuid]
            assert beginning_so(uuids, short.upper().replace("-", "")) == [uuid]


@pytest.mark.parametrize("word", ["", "4e26ce7", "4e26ce7g", "-4e26ce7e", "web", f"{ONE}0", "*"])
def test_what_is_too_short_or_no_hexadecimal_begins_nothing(word: str) -> None:
    assert beginning_so([ONE, OTHER, NOBODY], word) == []


def test_nobody_is_no_domain() -> None:
    assert beginning_so([NOBODY, ONE], "00000000") == []


def test_a_mistyped_name_is_told_from_another_one() -> None:
    names = ["web", "Web-Server", "db", "customer-4711"]
    assert alike("wbe", names) == ["web"]
    assert alike("web-sever", names) == ["Web-Server"]
    assert alike("custmer-4711", names) == ["customer-4711"]
    assert alike("nothing-like-it", names) == []
    assert alike("x" * 10_000, names) == []
