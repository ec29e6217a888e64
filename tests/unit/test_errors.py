import errno
import re

import pytest

from tests.support.process import REPOSITORY
from uuidfs import errors
from uuidfs.errors import Busy, SystemCallFailed, show


def test_the_documented_exit_codes_are_those_of_the_code() -> None:
    table = (REPOSITORY / "docs/exit-codes.md").read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert documented - {130} == codes


def test_a_busy_lock_can_be_tried_again_and_a_full_disk_cannot() -> None:
    assert issubclass(Busy, errors.Retryable)
    assert not issubclass(SystemCallFailed, errors.Retryable)
    assert Busy("/x", 1.0).exit_code == 75


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EXDEV])
def test_a_failed_call_says_what_where_and_what_to_do(code: int) -> None:
    message = str(SystemCallFailed("move", "/etc/x.xml", OSError(code, "why")))
    assert re.fullmatch(r"cannot move /etc/x\.xml: why; .+", message)


def test_paths_in_messages_stay_on_one_line() -> None:
    assert show("/a\nb\tc") == r"/a\nb\tc"
    assert show("/ünï") == "/ünï"
    assert show("/\udcff") == r"/\xff"
