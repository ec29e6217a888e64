"""Where a file system keeps times in whole seconds: a file's number and time do not tell it from
another one, which libvirt has removed in the same second."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.coarse import whole_seconds
from tests.support.libvirt import libvirt_save
from tests.support.trees import Domain, build, domain_xml, uuid_for
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert
from uuidfs.files import change
from uuidfs.layout.connections import system

WEB = Domain("web", uuid_for("web"))
NEW = uuid_for("new web")


@pytest.mark.parametrize("was_converted", [True, False])
def test_a_new_domain_whose_config_has_the_inodes_number_and_time_keeps_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was_converted: bool
) -> None:
    with whole_seconds(tmp_path) as mount:
        tree = build(mount / "host", [WEB])
        layout, name = system(os.fspath(tree.host.root)), tree.host.config_of("web")
        if was_converted:
            assert convert(layout, Options()).exit_code == 0
        time.sleep(1.02 - time.time() % 1)
        libvirt_save(name, domain_xml("web", WEB.uuid, "edited"), sync=False)
        before = name.stat()
        after = []

        def redefine() -> None:
            name.unlink()
            libvirt_save(name, domain_xml("web", NEW), sync=False)
            after.append(name.stat())

        for call, at in (("link", 1), ("exchange", 3)):
            real = getattr(change, call)

            def acted(*arguments: Any, real: Any = real, at: int = at) -> None:
                if arguments[at] == "web.xml" and not after:
                    redefine()
                real(*arguments)

            monkeypatch.setattr(change, call, acted)
        convert(layout, Options())
        monkeypatch.undo()
        assert len(after) == 1
        if (after[0].st_ino, after[0].st_mtime_ns) != (before.st_ino, before.st_mtime_ns):
            print("the second ended in between, on a busy machine: this shows nothing")
        convert(layout, Options())
        assert f"<uuid>{NEW}<".encode() in name.read_bytes()
        assert os.readlink(name) == f"by-uuid/{NEW}.xml"
