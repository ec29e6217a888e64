"""Where each line that a document says to type is run, or why it is not.

The first row that fits a line counts. tests/unit/test_documents.py holds that each line has a row,
and each row a line."""

import re
from typing import NamedTuple

from tests.support.documents import Line, documents, typed_lines

HOST = "host"
"""On a host with libvirt and running guests web, db and gpu: test_on_a_host.py."""
FOLLOWS = "follows"
"""There, too; it goes on until it is ended."""
DEB, PIPX, DEMO = "deb", "pipx", "demo"
"""In a clean chroot of that purpose: test_in_a_clean_chroot.py."""
WHOLE = "whole"
"""On such a host, too; its block is one script."""
PLACES = (HOST, FOLLOWS, WHOLE, DEB, PIPX, DEMO)


class Row(NamedTuple):
    """Which lines of which documents, and the place or the reason."""

    document: str
    pattern: str
    where: str

    def fits(self, line: Line) -> bool:
        """Whether it is about this line."""
        named = re.fullmatch(self.document, line.document)
        return named is not None and re.fullmatch(self.pattern, line.text) is not None


_LIVE = (
    r"uuidfs (convert|status|check|path|log|history|undelete|outdated|local-migrate|rename|trash).*"
)
_BOTH = r"README\.md|docs/install\.md"
_ANY = r".*"

TABLE = (
    # What is no line to type at all.
    Row(r"docs/architecture\.md", _ANY, "a map of the source"),
    Row(r"docs/design\.md", _ANY, "drawings and system calls"),
    Row(r"docs/configuration\.md", r"uuidfs: .*", "what a command prints"),
    Row(r"docs/local-migration\.md", r"(host's libvirtd|foo |snapshots, ).*", "a drawing"),
    Row(
        r"docs/local-migration\.md",
        r"(DOMAIN|web |name=|moved |uuidfs: |8 |1 of |NAME ).*",
        "what a command prints",
    ),
    Row(
        r"docs/local-migration\.md",
        r"(<filesystem|<driver|<binary|\.\.\.).*",
        "a part of a domain's XML",
    ),
    Row(r"docs/update-qemu\.md", r"(hv\d:|2 hosts:|would move|cannot move|\.\.\.).*", "is printed"),
    Row(r"docs/selinux-apparmor\.md", r"/var/log/.*", "a line of a profile"),
    Row(r"docs/man/uuidfs\.toml\.5", r"(lock-timeout|\[|retention).*", "a configuration"),
    # What other tests run.
    Row(r"docs/libvirt-defects\.md", _ANY, "tests/live/test_defects_of_libvirt.py runs it"),
    Row(r"CONTRIBUTING\.md", r"make demo", DEMO),
    Row(r"CONTRIBUTING\.md", _ANY, ".ci/run and a release's checks run it"),
    Row(r"docs/packaging\.md", r"make (deb|deb-needs)", DEB),
    Row(r"docs/packaging\.md", r"make rpm", "tests/package/test_rpm.py builds it"),
    Row(r"docs/packaging\.md", r"make test-.*", "a test itself, due before a release"),
    Row(r"docs/packaging\.md", r"autopkgtest .*", "needs a machine of its own"),
    Row(r"docs/testing\.md", _ANY, "a test itself, due before a release"),
    Row(r"docs/performance\.md", _ANY, "measures for minutes: make bench does it"),
    Row(r"docs/cockpit\.md", r"apt-get .*", "tests/page has Cockpit, as its session alone"),
    Row(r"docs/firmware\.md", r"virsh .*", "tests/live/test_firmware.py does it, with UEFI"),
    Row(r"(packaging/ansible/README|docs/update-qemu)\.md", r"ansible-.*", "tests/package/fleet"),
    Row(r"packaging/ansible/README\.md", _ANY, "YAML, and what is printed: tests/package/fleet"),
    Row(r"docs/update-qemu\.md", _ANY, WHOLE),
    # What no chroot has.
    Row(_ANY, r"dnf .*|make rpm(-needs)?", "Fedora; nobody has tried it there"),
    Row(_ANY, r"semodule .*|setsebool .*", "needs a host that enforces SELinux"),
    Row(_ANY, r"grep .*apparmor.*", "needs a host that enforces AppArmor"),
    Row(_ANY, r"(journalctl|systemctl) .*", "needs systemd; tests/host has it"),
    # What test_in_a_clean_chroot.py runs, in this order.
    Row(r"README\.md", r"make demo", DEMO),
    Row(_BOTH, r"apt-get (update|install --yes make)|make deb(-needs)?", DEB),
    Row(_BOTH, r"apt-get install --yes \./dist/deb/uuidfs_\*_all\.deb", DEB),
    Row(r"docs/install\.md", r"apt-get remove --yes uuidfs", DEB),
    Row(r"docs/install\.md", _ANY, PIPX),
    Row(r"docs/local-migration\.md", r"install -m 644 -D packaging/needrestart/.*", PIPX),
    # What test_on_a_host.py runs.
    Row(_ANY, r"uuidfs log .*--follow.*", FOLLOWS),
    Row(
        r"docs/man/uuidfs-virtiofsd\.8",
        _ANY,
        "needs an editor and virtiofs: tests/live/test_migration_virtiofs.py",
    ),
    Row(_ANY, _LIVE, HOST),
    Row(r"docs/man/uuidfs\.8", r"(tail|virsh|uuidfs) .*", HOST),
    Row(r"docs/man/uuidfs-hook\.8", r"uuidfs hook .*", HOST),
    Row(_ANY, r"uuidfs config (show|check)", HOST),
    Row(r"docs/start\.md", r"(ls|virsh|uuidfs) .*", HOST),
    Row(r"docs/faq\.md", r"virsh undefine .*", HOST),
)


def row_of(line: Line) -> Row | None:
    """What the table says of a line."""
    return next((row for row in TABLE if row.fits(line)), None)


def lines_at(*places: str) -> list[Line]:
    """The lines that are run there, in the documents' order."""
    return [
        line
        for document in documents()
        for line in typed_lines(document)
        if (row := row_of(line)) is not None and row.where in places
    ]
