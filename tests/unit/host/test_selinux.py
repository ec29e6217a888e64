"""What the kernel's answers about SELinux mean for the hook.

The answers are played: there is no SELinux where these run. tests/host/test_selinux.py has it."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.conftest import Build
from uuidfs.errors import Refused
from uuidfs.host import hook_file, selinux
from uuidfs.layout.connections import system

DAEMON = "system_u:system_r:virtd_t:s0"
LABEL = "system_u:object_r:virt_etc_rw_t:s0"


class Answers(selinux.Kernel):
    """``allowed``: what the policy gives, as "source target class permission", by types."""

    def __init__(self, *allowed: str, becomes: str = "") -> None:
        super().__init__()
        self._allowed = {*allowed}
        self._becomes = becomes

    def there(self) -> bool:
        return True

    def created(self, source: str, target: str, kind: str) -> str:
        if kind == "file":
            return LABEL
        if target == LABEL:
            return self._becomes or source
        return DAEMON

    def lets(self, source: str, target: str, kind: str, needed: Iterable[str]) -> bool:
        types = f"{source.split(':')[2]} {target.split(':')[2]} {kind}"
        return {f"{types} {each}" for each in needed} <= self._allowed


EXECUTE = [f"virtd_t virt_etc_rw_t file {each}" for each in ("read", "open", "execute")]
STAYS = "virtd_t virt_etc_rw_t file execute_no_trans"
CHANGES = ["virtd_t hook_t process transition", "hook_t virt_etc_rw_t file entrypoint"]
HOOK_T = "system_u:system_r:hook_t:s0"


@pytest.mark.parametrize(
    ("kernel", "refused"),
    [
        (Answers(), True),
        (Answers(*EXECUTE), True),
        (Answers(*EXECUTE, STAYS), False),
        (Answers(*EXECUTE[:-1], STAYS), True),
        (Answers(*EXECUTE, STAYS, becomes=HOOK_T), True),
        (Answers(*EXECUTE, *CHANGES, becomes=HOOK_T), False),
        (Answers(*EXECUTE, CHANGES[0], becomes=HOOK_T), True),
        (Answers(*CHANGES, becomes=HOOK_T), True),
    ],
)
def test_a_hook_is_for_a_daemon_that_may_execute_it(
    monkeypatch: pytest.MonkeyPatch, kernel: Answers, refused: bool
) -> None:
    layout = system("")._replace(live=True)
    monkeypatch.setattr(selinux, "_daemons", lambda *_: iter([DAEMON]))
    monkeypatch.setattr(selinux, "_label_of", lambda *_: LABEL)
    found = selinux.kept_from(layout, "/etc/libvirt/hooks/qemu", kernel)
    assert found == ("virtd_t" if refused else None)


def test_nothing_is_installed_that_would_keep_domains_from_starting(
    make_tree: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_tree()
    monkeypatch.setattr(selinux, "kept_from", lambda *_: "virtd_t")
    with pytest.raises(Refused, match=r"virtd_t.*no domain would start.*reconciler") as caught:
        hook_file.install(system(str(tree.host.root)))
    assert caught.value.path.endswith("/etc/libvirt/hooks/qemu")
    assert not (tree.host.root / "etc/libvirt/hooks").exists()


def test_what_the_kernel_says_is_read_as_selinuxfs_writes_it(tmp_path: Path) -> None:
    """A directory stands for selinuxfs: the answer follows the question in the same file."""
    (tmp_path / "class/file/perms").mkdir(parents=True)
    (tmp_path / "class/file/index").write_text("7")
    (tmp_path / "class/file/perms/execute").write_text("14")
    question = f"{DAEMON} {LABEL} 7"
    kernel = selinux.Kernel(str(tmp_path))
    assert not kernel.there()
    for answer, given in (
        ("2000 ffffffff 0 ffffffff 1 0", True),
        ("dfff ffffffff 0 ffffffff 1 0", False),
        ("0 ffffffff 0 ffffffff 1 1", True),  # a permissive type
    ):
        (tmp_path / "access").write_bytes(b"?" * len(question) + answer.encode() + b"\0")
        assert kernel.lets(DAEMON, LABEL, "file", ("execute",)) is given
    assert (tmp_path / "access").read_bytes().startswith(question.encode())
    with pytest.raises(OSError, match="create"):
        kernel.created(DAEMON, LABEL, "file")


def test_a_kernel_that_does_not_answer_says_nothing_against_the_hook(
    tmp_path: Path,
) -> None:
    (tmp_path / "enforce").touch()
    layout = system("")._replace(live=True)
    assert (
        selinux.kept_from(layout, "/etc/libvirt/hooks/qemu", selinux.Kernel(str(tmp_path))) is None
    )
