import pytest

from uuidfs.errors import UsageError
from uuidfs.layout.connections import from_uri, session, system
from uuidfs.layout.places import LAYOUT, Kind

UUID = "4dea22b3-1d52-d8f3-2516-782e98ab3fa0"


def test_the_system_layout_is_the_table_of_the_design() -> None:
    layout = system()
    assert LAYOUT == 1, "another table is another layout: raise the number, never use one again"
    assert layout.uuid_path(Kind.CONFIG, UUID) == f"/etc/libvirt/qemu/by-uuid/{UUID}.xml"
    assert layout.uuid_path(Kind.LOG, UUID) == f"/var/log/libvirt/qemu/by-uuid/{UUID}.log"
    assert layout.uuid_path(Kind.SNAPSHOT, UUID) == f"/var/lib/libvirt/by-uuid/snapshot/{UUID}"
    assert layout.uuid_path(Kind.CHECKPOINT, UUID) == f"/var/lib/libvirt/by-uuid/checkpoint/{UUID}"
    assert layout.locks.path == "/run/uuidfs/lock"
    assert layout.status.path == "/run/libvirt/qemu"


def test_root_holds_the_same_layout_below_it() -> None:
    layout = system("/srv/tree")
    assert layout.uuid_path(Kind.CONFIG, UUID) == f"/srv/tree/etc/libvirt/qemu/by-uuid/{UUID}.xml"
    assert layout.locks.path == "/srv/tree/run/uuidfs/lock"
    assert not layout.live


def test_session_and_embed_are_where_libvirt_puts_them() -> None:
    of_user = session({"HOME": "/home/u", "XDG_RUNTIME_DIR": "/run/user/7"})
    assert of_user.names[Kind.CONFIG].path == "/home/u/.config/libvirt/qemu"
    assert of_user.names[Kind.LOG].path == "/home/u/.cache/libvirt/qemu/log"
    assert of_user.names[Kind.SNAPSHOT].path == "/home/u/.config/libvirt/qemu/snapshot"
    assert of_user.stores[Kind.SNAPSHOT].path == "/home/u/.config/libvirt/by-uuid/snapshot"
    assert of_user.status.path == "/run/user/7/libvirt/qemu/run"
    embedded = from_uri("qemu:///embed?root=/r", {})
    assert embedded.names[Kind.CONFIG].path == "/r/etc/qemu"
    assert embedded.stores[Kind.CHECKPOINT].path == "/r/lib/by-uuid/checkpoint"


@pytest.mark.parametrize(
    "uri",
    [
        "xen:///system",
        "qemu://host/system",
        "qemu:///nowhere",
        "qemu:///embed",
        "qemu:///embed?root=relative",
        "",
        "nonsense",
    ],
)
def test_a_uri_that_cannot_be_handled_is_a_usage_error(uri: str) -> None:
    with pytest.raises(UsageError):
        from_uri(uri, {})
