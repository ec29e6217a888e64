"""Scripts for names that libvirt accepts and that are easily got wrong."""

from tests.live import guest
from tests.live.script import Script, restart, virsh
from tests.live.scripts import define

# What cannot stand in XML, or is cut there, gets its name by domrename.
NAMES = (
    " a space at both ends ",
    "ünïcödé-名前",
    "-dash",
    ".dot",
    "quo'te\"s",
    "100%s%n",
    "tab\there",
    "line\nbreak",
    "n" * 240,
    "by-uuid",
    guest.uuid(2),
    guest.uuid(1),
    "a.xml",
    "a.log",
    "a.log.0",
    "$(reboot) `x` \\ *",
)


def script(name: str) -> Script:
    """What a domain of this name goes through, beside one with an ordinary name."""
    domain = ("--domain", guest.uuid(1))  # virsh would take a name like an option for one
    return Script(
        repr(name)[:40],
        (
            define("a", 2),
            define("ordinary", 1),
            virsh("domrename", *domain, "--new-name", name),
            virsh("snapshot-create-as", *domain, "--name", "s"),
            virsh("autostart", *domain),
            virsh("start", *domain),
            virsh("start", "--domain", name),
            virsh("start", "--domain", guest.uuid(2)),
            restart(),
            virsh("destroy", *domain),
            virsh("domrename", *domain, "--new-name", "ordinary"),
            virsh("domrename", *domain, "--new-name", name),
            restart(),
            virsh("snapshot-delete", *domain, "--snapshotname", "s"),
            virsh("undefine", *domain),
        ),
    )
