"""libvirt-python, which is optional: only local migration needs it."""

import contextlib
from collections.abc import Iterator
from typing import Any

from uuidfs.errors import UuidfsError


class NoLibvirtPython(UuidfsError):
    """libvirt-python is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "local migration needs libvirt-python: install python3-libvirt, or "
            "uuidfs[local-migration] from PyPI"
        )


class LibvirtRefused(UuidfsError):
    """libvirt reports an error. ``code`` is its VIR_ERR number."""

    def __init__(self, action: str, error: Any) -> None:
        super().__init__(f"cannot {action}: {' '.join(str(error).split())}")
        self.action = action
        self.code: int | None = error.get_error_code()


def module() -> Any:
    """The libvirt module, silenced: errors are raised, not printed. Raises NoLibvirtPython."""
    try:
        import libvirt
    except ImportError as error:
        raise NoLibvirtPython from error
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    return libvirt


@contextlib.contextmanager
def doing(action: str) -> Iterator[None]:
    """Turn libvirt's errors within the block into LibvirtRefused."""
    libvirt = module()
    try:
        yield
    except libvirt.libvirtError as error:
        raise LibvirtRefused(action, error) from error


def connect(uri: str) -> Any:
    """A connection to a daemon. Raises LibvirtRefused."""
    with doing(f"connect to {uri}"):
        return module().open(uri)


def lookup(connection: Any, domain: str) -> Any | None:
    """The domain with a name or UUID, in virsh's order; None when the daemon has none."""
    libvirt = module()
    for look in (connection.lookupByUUIDString, connection.lookupByName):
        try:
            return look(domain)
        except libvirt.libvirtError as error:
            if error.get_error_code() not in {
                libvirt.VIR_ERR_NO_DOMAIN,
                libvirt.VIR_ERR_INVALID_ARG,
            }:
                raise LibvirtRefused(f"look for {domain}", error) from error
    return None


def running(uri: str) -> list[str]:
    """The UUIDs of all running domains."""
    libvirt = module()
    connection = connect(uri)
    with doing("list the running domains"):
        domains = connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_RUNNING)
        return [str(domain.UUIDString()) for domain in domains]
