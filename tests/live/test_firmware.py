"""A name carries no firmware over: two domains never get one file, whatever their names were."""

import pytest

from tests.live.firmware import NVRAM, define, files, path_of, run, says, uuid, write
from tests.live.private_host import PrivateHost

BETA = f"{uuid(1)}_VARS.fd"


def renamed(host: PrivateHost, *, chosen: bool = False) -> None:
    """alpha with variables of its own, which is beta now."""
    define(host, "alpha", 1, chosen=chosen)
    run(host, "alpha")
    write(host, "alpha", "of beta")
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
    renamed(host)
    define(host, "alpha", 2)
    assert path_of(host, "alpha") == path_of(host, "beta")
    host.virsh("undefine", "alpha", "--nvram").ok()
    assert files(host) == []
