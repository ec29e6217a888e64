"""check, while the tree changes under it."""

import os

from tests.conftest import Build
from tests.support.libvirt import libvirt_domrename
from tests.support.trees import uuid_for
from uuidfs.check import check
from uuidfs.convert.half_rename import finish_rename
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.layout.connections import system
from uuidfs.survey.identity import Identity
from uuidfs.survey.identity_lxml import read_lxml


def test_a_domain_that_changes_meanwhile_is_looked_at_again(make_tree: Build) -> None:
    tree = make_tree()
    layout = system(os.fspath(tree.host.root))
    convert(layout, Options())
    libvirt_domrename(tree.host, "vm0000", "renamed", steps=4)
    finished: list[object] = []

    def read(data: bytes) -> Identity | str:
        """The scan has seen both names; before the closer look, one of them goes."""
        found = read_lxml(data)
        if isinstance(found, Identity) and found.name == "renamed" and not finished:
            finished.append(finish_rename(layout, uuid_for("vm0000"), lambda *_: None, Options()))
        return found

    findings = check(layout, read).findings
    assert finished
    assert str(tree.host.config_of("renamed")) in {finding.path for finding in findings}
    assert convert(layout, Options()).exit_code == 0
    assert check(layout).findings == ()
