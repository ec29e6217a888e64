"""A name carries no firmware over: two domains never get one file, whatever their names were."""

import pytest

from tests.live.firmware import NVRAM, define, files, path_of, run, says, uuid, write
from tests.live.private_host import PrivateHost

BETA = f"{uuid(1)}_VARS.fd"


def renamed(host: PrivateHost, *, chosen: bool = False, seen: bool = True) -> None:
    """alpha with variables of its own, which is beta now; ``seen``: by uuidfs, as alpha."""
    define(host, "alpha", 1, chosen=chosen)
    run(host, "alpha")
    write(host, "alpha", "of beta")
    if seen:
        host.uuidfs("convert", "--all").ok()
    host.virsh("domrename", "alpha", "beta").ok()


@pytest.mark.parametrize("chosen", [False, True], ids=["given", "chosen"])
def test_the_story_of_two_domains(converted: PrivateHost, chosen: bool) -> None:
    host = converted
    renamed(host, chosen=chosen)
    host.uuidfs("convert", "--all").ok()
    define(host, "alpha", 2, chosen=chosen)
    run(host, "alpha")
    write(host, "alpha", "of new")
    assert path_of(host, "beta") == f"{NVRAM}/{BETA}"
    assert (says(host, "beta"), says(host, "alpha")) == ("of beta", "of new")
    host.virsh("undefine", "alpha", "--nvram").ok()
    run(host, "beta")
    assert says(host, "beta") == "of beta"
    assert files(host) == [BETA]


def test_a_plain_host_shares_and_deletes(host: PrivateHost) -> None:
    """What the story is about: without uuidfs beta loses its variables."""
    renamed(host, seen=False)
    define(host, "alpha", 2)
    assert path_of(host, "alpha") == path_of(host, "beta")
    host.virsh("undefine", "alpha", "--nvram").ok()
    assert files(host) == []


@pytest.mark.parametrize("chosen", [False, True], ids=["given", "chosen"])
def test_a_start_before_anybody_has_looked(converted: PrivateHost, chosen: bool) -> None:
    """The hook takes the file away from the new domain; the definition follows later."""
    host = converted
    renamed(host, chosen=chosen)
    define(host, "alpha", 2, chosen=chosen)
    run(host, "alpha")
    write(host, "alpha", "of new")
    assert host.path(f"{NVRAM}/{BETA}").read_bytes()[-8:] == b"\xffof beta"
    host.uuidfs("convert", "--all").ok()
    assert (says(host, "beta"), says(host, "alpha")) == ("of beta", "of new")
    host.virsh("undefine", "alpha", "--nvram").ok()
    run(host, "beta")
    assert says(host, "beta") == "of beta"


@pytest.mark.parametrize("chosen", [False, True], ids=["given", "chosen"])
def test_a_definition_from_before(converted: PrivateHost, chosen: bool) -> None:
    """Whoever defines a domain again by a document of his own gets the same variables."""
    host = converted
    renamed(host, chosen=chosen)
    host.uuidfs("convert", "--all").ok()
    assert files(host) == [BETA]
    define(host, "beta", 1, chosen=chosen)
    assert path_of(host, "beta") == f"{NVRAM}/beta_VARS.fd"
    run(host, "beta")
    assert says(host, "beta") == "of beta"
    host.uuidfs("convert", "--all").ok()
    assert path_of(host, "beta") == f"{NVRAM}/{BETA}"
    assert files(host) == [BETA]
    assert says(host, "beta") == "of beta"


def test_what_runs_follows_when_it_is_off(converted: PrivateHost) -> None:
    host = converted
    renamed(host)
    host.virsh("start", "beta").ok()
    host.uuidfs("convert", "--all").ok()
    assert files(host) == [BETA, "alpha_VARS.fd"]
    assert path_of(host, "beta") == f"{NVRAM}/alpha_VARS.fd"
    host.virsh("destroy", "beta").ok()
    assert path_of(host, "beta") == f"{NVRAM}/{BETA}"
    host.uuidfs("convert", "--all").ok()
    assert files(host) == [BETA]
    assert says(host, "beta") == "of beta"


def test_snapshots_and_managed_saves_follow(converted: PrivateHost) -> None:
    host = converted
    define(host, "alpha", 1, chosen=True)
    run(host, "alpha")
    write(host, "alpha", "of beta")
    host.uuidfs("convert", "--all").ok()
    for name in ("s1", "s2", "s3"):
        host.virsh("snapshot-create-as", "alpha", name).ok()
    host.virsh("snapshot-revert", "alpha", "s2").ok()
    host.virsh("domrename", "alpha", "beta").ok()
    host.virsh("start", "beta").ok()  # the hook finds the file under the former name
    assert says(host, "beta") == "of beta"
    host.virsh("managedsave", "beta").ok()
    before = host.virsh("snapshot-list", "beta", "--tree").ok().out
    host.uuidfs("convert", "--all").ok()
    assert files(host) == [BETA]
    assert host.virsh("snapshot-list", "beta", "--tree").ok().out == before
    assert host.virsh("snapshot-current", "beta", "--name").ok().out.strip() == "s2"
    host.virsh("start", "beta").ok()
    assert path_of(host, "beta") == f"{NVRAM}/{BETA}"
    host.virsh("destroy", "beta").ok()
    host.virsh("snapshot-revert", "beta", "s1").ok()
    run(host, "beta")
    assert files(host) == [BETA]
    assert says(host, "beta") == "of beta"
    host.restart()
    assert host.virsh("snapshot-list", "beta", "--tree").ok().out == before


def both(host: PrivateHost) -> tuple[str, str]:
    """alpha's definition, and what its snapshot says."""
    return (
        host.virsh("dumpxml", "alpha").ok().out,
        host.virsh("snapshot-dumpxml", "alpha", "s1").ok().out,
    )


def test_all_domains_and_back(converted: PrivateHost) -> None:
    host = converted
    for name, number, chosen in (("alpha", 1, False), ("beta", 2, True)):
        define(host, name, number, chosen=chosen)
        run(host, name)
        write(host, name, f"of {name[:4]}")
    host.virsh("snapshot-create-as", "alpha", "s1", "--disk-only").ok()
    before = both(host)
    host.uuidfs("convert", "--all", "--kind", "nvram").ok()
    assert files(host) == [f"{uuid(1)}_VARS.fd", f"{uuid(2)}_VARS.fd"]
    assert (says(host, "alpha"), says(host, "beta")) == ("of alph", "of beta")
    host.uuidfs("revert", "--all").ok()
    assert files(host) == ["alpha_VARS.fd", "beta_VARS.fd"]
    assert both(host) == before
    assert (says(host, "alpha"), says(host, "beta")) == ("of alph", "of beta")
    assert not host.path("/var/lib/libvirt/by-uuid").exists()


def test_revert_does_not_make_two_domains_share(converted: PrivateHost) -> None:
    host = converted
    define(host, "alpha", 1)
    run(host, "alpha")
    host.uuidfs("convert", "--all", "--kind", "nvram").ok()
    host.path(f"{NVRAM}/alpha_VARS.fd").write_text("somebody's")
    said = host.uuidfs("revert", "--all")
    assert said.code == 1
    assert "alpha" in said.err
    assert "another file" in said.err
    assert path_of(host, "alpha") == f"{NVRAM}/{BETA}"
