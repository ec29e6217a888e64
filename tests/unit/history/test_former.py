"""uuidfs status --former: the names that domains had, all at once."""

import os

from tests.support.trees import domain_xml
from tests.unit.history.host import LogHost, started


def test_former_names_are_those_of_history(host: LogHost) -> None:
    for day, name in enumerate(("a", "two words", "c,d"), start=1):
        if name != host.name:
            host.rename(name)
        host.start()
        host.write(started(day, name.replace(",", ",,")))
        host.rotate()
    found = host.run("status", "--former", "--json").ok().json
    names = {one["name"]: one["former_names"] for one in found["domains"]}
    assert names == {"b": [], "c,d": ["a", "two words"]}
    assert found["unread"] == []
    assert names["c,d"] == host.run("history", "c,d", "--json").ok().json["former_names"]
    assert "c,d: formerly a, two words" in host.run("status", "--former").ok().out.splitlines()
    without = host.run("status", "--json").ok().json
    assert "former_names" not in without["domains"][0]


def test_a_name_of_a_config_in_the_trash_counts(host: LogHost) -> None:
    host.run("convert", "--all").ok()
    os.unlink(host.host.config_of("a"))
    host.run("convert", "--all").ok()
    host.host.config_of("again").write_bytes(domain_xml("again", host.uuid))
    found = host.run("status", "again", "--former", "--json").ok().json["domains"]
    assert [one["former_names"] for one in found] == [["a"]]


def test_a_log_that_cannot_be_unpacked_is_told_and_the_rest_is_there(host: LogHost) -> None:
    host.start()
    host.write(started(1, "a"))
    host.rename("c")
    broken = host.host.log_of("c", ".7.gz")
    broken.write_bytes(b"this is no gzip")
    done = host.run("status", "--former", "--json").ok()
    assert [p["path"] for p in done.json["unread"]] == [str(broken)]
    said = host.run("status", "--former")
    assert (said.code, str(broken) in said.err) == (0, True)
