"""Whether this user may look at all: half a look would tell what is not so.

Who may list the configs but not read them would find no domain, and the logs of all of them to be
nobody's; who may not enter a store would find it damaged. So it is all or nothing, once, before
the first look.
"""

import errno
import os
import stat

from uuidfs.errors import SystemCallFailed, UuidfsError
from uuidfs.files.directory import Directory
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind, Side

_DENIED = frozenset({errno.EACCES, errno.EPERM})


def expect_rights(dirs: TrustedDirs) -> None:
    """Raise SystemCallFailed where somebody else's directory or config is closed to this user.

    What is this user's own and closed is left to whoever looks at it: its owner can mend that.
    Root is not asked; a capability such as CAP_DAC_READ_SEARCH counts as the right that it gives.
    """
    if os.geteuid() == 0:
        return
    for kind in Kind:
        for side in Side:
            try:
                dirs.get(kind, side)
            except SystemCallFailed as error:
                if error.errno in _DENIED and not _is_mine(error.path):
                    raise
            except UuidfsError:
                continue  # the look itself tells
    names = dirs.names(Kind.CONFIG)
    for entry in sorted(names.list()) if names is not None else ():
        if names is not None and entry.endswith(".xml"):
            _expect_readable(names, entry)


def _expect_readable(names: Directory, entry: str) -> None:
    found = names.stat(entry)
    if found is None or not stat.S_ISREG(found.st_mode) or found.st_uid == os.geteuid():
        return
    try:
        readable = os.access(entry, os.R_OK, dir_fd=names.fd, effective_ids=True)
    except OSError:
        return
    if not readable and names.stat(entry) is not None:  # else libvirt has just taken it away
        denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise SystemCallFailed("read", names.at(entry), denied)


def _is_mine(path: str) -> bool:
    try:
        return os.stat(path, follow_symlinks=False).st_uid == os.geteuid()
    except OSError:
        return False
