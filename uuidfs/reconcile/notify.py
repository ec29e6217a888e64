"""Tells systemd how a service is: the protocol of sd_notify(3), a datagram of KEY=VALUE lines.

Without NOTIFY_SOCKET in the environment, or when nobody reads it, nothing happens.
"""

import os
import socket
import time


def notify(**fields: str) -> None:
    """Send one message, for example ``READY="1"``; never raises."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in {"/", "@"}:
        return
    address = "\0" + path[1:] if path[0] == "@" else path  # an abstract socket
    lines = (f"{key}={' '.join(value.split())}" for key, value in fields.items())
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)  # a service manager that hangs must not hang us
            sender.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), address)
    except OSError:
        return


def stopping() -> None:
    """The service is about to end."""
    notify(STOPPING="1")


def reloading() -> None:
    """The service rereads its configuration; ``READY=1`` has to follow."""
    notify(RELOADING="1", MONOTONIC_USEC=str(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000))
