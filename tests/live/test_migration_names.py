"""Names on the way: long ones, which no socket's path has room for, and ones that get taken."""

import pytest

from tests.live import guest
from tests.live.migration import (
    at_home,
    begin,
    command,
    counts,
    prepare,
    uuidfs,
    wait_for_phase,
    went_on,
)
from tests.live.private_host import PrivateHost
from tests.support.process import Done

pytestmark = pytest.mark.usefixtures("ready")

LONG = "n" * 200


def test_a_name_too_long_for_a_socket_goes_through_the_daemons(host: PrivateHost) -> None:
    prepare(host)
    uuidfs(host, "rename", "a", LONG, "--live").ok()
    at_home(host, LONG)
    uuidfs(host, "local-migrate", LONG).ok()
    at_home(host, LONG)
    uuidfs(host, "rename", LONG, "a", "--live").ok()
    at_home(host)
    went_on(counts(host))


def test_a_new_name_that_is_taken_meanwhile(host: PrivateHost) -> None:
    prepare(host, memory=128)
    running = begin(host, "rename", "a", "b", "--live")
    wait_for_phase(host, "out", running)
    host.path("/run/b.xml").write_text(guest.domain("b", 2))
    host.virsh("define", "/run/b.xml").ok()
    out, err = running.communicate()
    assert (running.returncode, out) == (1, "")
    assert "another domain took the name 'b' meanwhile, so the guest has kept its own" in err
    at_home(host)
    went_on(counts(host))
    assert sorted(host.virsh("list", "--all", "--name").ok().out.split()) == ["a", "b"]
    assert host.virsh("domuuid", "b").ok().out.strip() == guest.uuid(2)
    assert "Persistent:     yes" in host.virsh("dominfo", "a").ok().out


@pytest.mark.parametrize("name", ["Büro 10%", "{a|b}^[c]", "a'b\"<&>", "a%20b#?\\"])
def test_names_that_no_uri_and_no_xml_has_as_they_are(host: PrivateHost, name: str) -> None:
    """libvirt parses the hop's socket as a URI, and escapes the pid file's name as in XML."""
    prepare(host)
    uuidfs(host, "rename", "--live", "--", "a", name).ok()
    at_home(host, name)
    uuidfs(host, "local-migrate", "--", name).ok()
    at_home(host, name)
    went_on(counts(host))


WITHOUT = (
    "import sys; sys.modules['libvirt'] = None; sys.argv[0] = 'uuidfs'; "
    "from uuidfs.cli.start import main; main()"
)


def test_a_domain_that_is_off_is_renamed_without_libvirt_python(host: PrivateHost) -> None:
    """virsh does it. Neither a new name like an option nor an old one like an ID misleads it."""
    prepare(host, started=False)
    host.virsh("autostart", "a").ok()
    program, env = command()

    def without(*words: str) -> Done:
        return host.run(program[0], "-c", WITHOUT, *words, env=env)

    before = "a"
    for name in ("--live", "Büro 10%", "1"):
        without("rename", "--", before, name).ok()
        assert host.virsh("domname", guest.uuid(1)).ok().out.strip() == name
        assert host.path(f"/etc/libvirt/qemu/{name}.xml").is_symlink()
        before = name
    taken = host.path("/run/b.xml")
    taken.write_text(guest.domain("b", 2))
    host.virsh("define", "/run/b.xml").ok()
    refused = without("rename", "1", "b")
    assert refused.code == 1
    assert "already exists" in refused.err
    assert len(refused.err.splitlines()) == 1
    host.virsh("start", "b").ok()
    without("rename", "1", "a").ok()  # b has ID 1
    assert sorted(host.virsh("list", "--all", "--name").ok().out.split()) == ["a", "b"]
    assert without("check").ok()
    live = without("rename", "b", "c", "--live")
    assert live.code == 1
    assert "python3-libvirt" in live.err


def test_the_beginning_of_a_uuid_is_enough_and_a_mistyped_name_is_asked_about(
    host: PrivateHost,
) -> None:
    host.install_hook()
    for number, name in ((1, "web"), (2, "mail"), (3, guest.uuid(1)[:8])):
        host.path("/run/a.xml").write_text(guest.domain(name, number))
        host.virsh("define", "/run/a.xml").ok()
    wrong = uuidfs(host, "rename", "wbe", "c")
    assert (wrong.code, wrong.out) == (2, "")
    assert "no domain 'wbe'; did you mean 'web'?" in wrong.err
    beginning = guest.uuid(1)[:-1]
    assert all(guest.uuid(number).startswith(beginning) for number in (1, 2, 3))
    several = uuidfs(host, "rename", beginning, "c")
    assert (several.code, len(several.err.splitlines())) == (2, 1)
    for number, name in ((1, "web"), (2, "mail")):
        assert f"{guest.uuid(number)} ({name})" in several.err
    moved = uuidfs(host, "local-migrate", "--json", "wbe").json["domains"]
    assert "did you mean 'web'?" in moved[0]["error"]
    uuidfs(host, "rename", guest.uuid(1)[:8], "three").ok()  # a name comes before a beginning
    assert host.virsh("domuuid", "three").ok().out.strip() == guest.uuid(3)
    xml = guest.domain("four", 4).replace(guest.uuid(4), "4e26ce7e-8807-561b-9b95-3ab2d3c535f6")
    host.path("/run/a.xml").write_text(xml)
    host.virsh("define", "/run/a.xml").ok()
    uuidfs(host, "rename", "4e26ce7e", "five").ok()
    assert host.virsh("domname", "4e26ce7e-8807-561b-9b95-3ab2d3c535f6").ok().out.strip() == "five"
