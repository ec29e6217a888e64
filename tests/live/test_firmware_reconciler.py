"""With a reconciler nobody has to run anything: definitions follow a rename by themselves."""

from tests.live.firmware import NVRAM, define, files, path_of, run, says, uuid, write
from tests.live.private_host import PrivateHost
from tests.live.reconciler import Reconciler
from tests.support.process import wait_for

BETA = f"{uuid(1)}_VARS.fd"


def has_its_own(host: PrivateHost) -> None:
    """Wait until beta's definition names the path of its UUID, and nothing else has the file."""
    wait_for(lambda: path_of(host, "beta") == f"{NVRAM}/{BETA}", "beta has a path of its own")
    wait_for(lambda: "alpha_VARS.fd" not in files(host), "its former name is gone")


def test_the_story_without_a_command_of_ours(converted: PrivateHost) -> None:
    host = converted
    with Reconciler(host) as reconciler:
        define(host, "alpha", 1)
        run(host, "alpha")
        write(host, "alpha", "of beta")
        reconciler.settle()
        host.virsh("domrename", "alpha", "beta").ok()
        define(host, "alpha", 2)  # at once
        has_its_own(host)
        run(host, "alpha")
        write(host, "alpha", "of new")
        reconciler.settle()
        assert (says(host, "beta"), says(host, "alpha")) == ("of beta", "of new")
        host.virsh("undefine", "alpha", "--nvram").ok()
        run(host, "beta")
        reconciler.settle()
        assert says(host, "beta") == "of beta"
        assert files(host) == [BETA]


def test_a_domain_that_runs_follows_when_it_is_off(converted: PrivateHost) -> None:
    host = converted
    with Reconciler(host) as reconciler:
        define(host, "alpha", 1)
        run(host, "alpha")
        write(host, "alpha", "of beta")
        host.virsh("domrename", "alpha", "beta").ok()
        host.virsh("start", "beta").ok()
        reconciler.settle()
        assert "alpha_VARS.fd" in files(host)
        host.virsh("destroy", "beta").ok()
        has_its_own(host)
        assert says(host, "beta") == "of beta"
