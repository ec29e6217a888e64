"""uuidfs history tells what happened to a domain, from what is on disk."""

from typing import Any

import pytest

from tests.unit.history.host import LogHost, stamped, started
from uuidfs.history.events import Origin, What
from uuidfs.history.journal import events
from uuidfs.history.log_events import Start, Stop, guest_name, marks
from uuidfs.layout.places import Kind
from uuidfs.runtime import sessions


def told(host: LogHost, domain: str = "") -> dict[str, Any]:
    done = host.run("history", domain or host.name, "--json").ok()
    assert done.json["version"] == 1
    found: dict[str, Any] = done.json
    return found


def of(found: dict[str, Any], what: str) -> list[tuple[str | None, str | None]]:
    return [(e["time"], e["name"]) for e in found["events"] if e["event"] == what]


def test_former_names_and_renames_come_from_the_log(host: LogHost) -> None:
    for day, name in enumerate(("a", "a", "two words", "c,d"), start=1):
        if name != host.name:
            host.rename(name)
        host.start()
        host.write(started(day, name.replace(",", ",,")))
        host.write(stamped(day, "shutting down, reason=shutdown", 12))
        host.rotate()
    found = told(host)
    assert found["former_names"] == ["a", "two words"]
    assert of(found, "named") == [("2026-11-01T10:00:00Z", "a")]
    assert of(found, "renamed") == [
        ("2026-11-03T10:00:00Z", "two words"),
        ("2026-11-04T10:00:00Z", "c,d"),
    ]
    text = host.run("history", "c,d")
    assert text.out.splitlines()[:2] == [f"c,d  {host.uuid}", "formerly: a, two words"]
    assert "the journal was not read" in text.err
    assert len(text.err.splitlines()) == 1


def test_a_trip_shows_in_the_log_as_a_departure_and_an_arrival(host: LogHost) -> None:
    host.start()
    host.write(started(1, "a") + stamped(1, "shutting down, reason=migrated", 11))
    host.write(started(2, "a", "-incoming defer"))
    found = told(host)
    assert of(found, "left") == [("2026-11-01T11:00:00Z", "a")]
    assert of(found, "arrived") == [("2026-11-02T10:00:00Z", "a")]


def test_the_trash_tells_when_and_why_and_the_former_name(host: LogHost) -> None:
    host.start()
    host.undefine()
    host.convert()
    found = told(host, host.uuid)
    (event,) = [e for e in found["events"] if e["event"] == "trashed"]
    assert event["name"] == "a"
    assert event["origin"] == "trash"
    assert event["text"].endswith(f"{host.uuid}.xml: undefined by convert")
    assert found["former_names"] == ["a"]


def test_a_trip_under_way_is_told_by_its_session(host: LogHost) -> None:
    host.start()
    session = sessions.begin(host.layout, host.uuid, "a", pid=1, tool="test", new_name="z")
    (event,) = [e for e in told(host)["events"] if e["event"] == "trip"]
    assert "under way (phase begin, test, process 1), to be called z" in event["text"]
    sessions.end(host.layout, session)


def test_files_tell_of_the_last_conversion_and_of_the_last_save(host: LogHost) -> None:
    host.start()
    found = told(host)
    assert len(of(found, "saved")) == len(of(found, "written")) == 1
    paths = {e["path"] for e in found["events"] if e["event"] == "converted"}
    names = host.layout.names
    assert paths == {f"{names[Kind.CONFIG].path}/a.xml", f"{names[Kind.LOG].path}/a.log"}
    times = [e["time"] for e in found["events"]]
    assert times == sorted(times)


def test_what_a_log_says_is_escaped_for_people(host: LogHost) -> None:
    host.write(started(1, "x\x1b[2J") + b"-name 'guest=\xff\n" + b"-name \n-incoming x\n")
    done = host.run("history", "a").ok()
    assert "\x1b" not in done.out
    assert "x\\x1b[2J" in done.out


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (b"guest=a,debug-threads=on \\", "a"),
        (b"'guest=a b,debug-threads=on' \\", "a b"),
        (b"'guest=it'\\''s,x=on' \\", "it's"),
        (b"guest=a,,b", "a,b"),
        (b"other", None),
        (b"'guest=unfinished", None),
    ],
)
def test_names_are_read_as_libvirt_quotes_them(words: bytes, name: str | None) -> None:
    assert guest_name(words) == name


def test_marks_survive_any_cut_of_the_log() -> None:
    text = started(1, "a") + stamped(2, "shutting down, reason=crashed") + started(3, "b")
    whole = list(marks([text]))
    assert [type(mark) for mark in whole] == [Start, Stop, Start]
    for cut in range(len(text)):
        assert list(marks([text[:cut], text[cut:]])) == whole
        list(marks([text[cut:]]))


def test_the_journals_lines_are_read_as_they_are_written() -> None:
    uuid = "7d75202c-9ca6-56bb-98d8-3a7d5b8bc2d5"
    lines = [
        f'{{"__REALTIME_TIMESTAMP":"1764150000000000","MESSAGE":"{text}"}}\n'.encode()
        for text in (
            f"name=web uuid={uuid} action=fold 1 files",
            f'name=\\"a \\\\\\"b\\" uuid={uuid} action=local-migrate outcome=moved seconds=2.2 '
            "downtimes=20,31 moved",
            f"name=web action=fold not {uuid}",
        )
    ]
    numbers = ",".join(str(byte) for byte in f"uuid={uuid} action=retire \xff".encode("latin-1"))
    lines.append(f'{{"__REALTIME_TIMESTAMP":"1","MESSAGE":[{numbers}], "x":"{uuid}"}}'.encode())
    lines += [b"no json " + uuid.encode(), b"{}", f'{{"MESSAGE":null,"x":"{uuid}"}}'.encode()]
    fold, trip, retired = events(lines, uuid)
    assert (fold.what, fold.name, fold.text) == (What.CONVERTED, "web", "fold, 1 files")
    assert (trip.what, trip.name) == (What.TRIP, 'a "b')
    assert trip.text == "local-migrate, moved, in 2.2 s, downtimes 20,31 ms"
    assert (retired.what, retired.text, retired.origin) == (
        What.NOTED,
        "retire, \\xff",
        Origin.JOURNAL,
    )
    assert fold.when == 1764150000.0
