"""Runs inside a private host, on libvirt-python alone: starts a domain again and again, or looks
whether it runs twice. Prints one line of JSON when the file STOP is gone.

    attackers.py start STOP UUID SOCKET   how often a start was refused, and why, and how often not
    attackers.py look STOP UUID SOCKET    every moment in which two processes ran

SOCKET is the name of the peer's, in its directory.
"""

import collections
import json
import os
import sys
import time
from typing import Any

import libvirt

HOST = "qemu:///system"
RUNNING = libvirt.VIR_DOMAIN_RUNNING

Seen = tuple[int, int] | None


def attack(stop: str, uuid: str, _socket: str) -> dict[str, Any]:
    """Start it, without a pause, until the file is gone; daemons may come and go."""
    heard: collections.Counter[str] = collections.Counter()
    connection = None
    while os.path.exists(stop):
        try:
            if connection is None or not connection.isAlive():
                connection = libvirt.open(HOST)
            connection.lookupByUUIDString(uuid).create()
            heard["started"] += 1
        except libvirt.libvirtError as error:
            heard[kind(str(error))] += 1
            if connection is None or not connection.isAlive():
                time.sleep(0.05)
    return dict(heard)


def kind(text: str) -> str:
    """What a refusal comes from."""
    for word, name in (
        ("local-migrate --recover", "hook"),
        ("already running", "running"),
        ("already active", "running"),
    ):
        if word in text:
            return name
    return text[:120]


def look(stop: str, uuid: str, socket: str) -> dict[str, Any]:
    """Host, peer, host again: who runs before and after runs in between as well."""
    uris = (
        HOST,
        f"qemu+unix:///system?socket=/run/uuidfs/local-migration/peer-{uuid}/run/{socket}",
    )
    sides: list[Any] = [None, None]
    twice = []
    looks = away = 0
    while os.path.exists(stop):
        one = state(sides, 0, uris, uuid)
        two = state(sides, 1, uris, uuid)
        three = state(sides, 0, uris, uuid)
        four = state(sides, 1, uris, uuid)
        looks += 1
        away += bool(two and two[0] == RUNNING)
        runs = [bool(x and x[0] == RUNNING) for x in (one, two, three, four)]
        if (runs[:3] == [True] * 3 and one == three) or (runs[1:] == [True] * 3 and two == four):
            twice.append([one, two, three, four])
        time.sleep(0.002)
    return {"twice": twice, "looks": looks, "away": away}


def state(sides: list[Any], side: int, uris: tuple[str, str], uuid: str) -> Seen:
    """State and id of an active domain, None without one."""
    try:
        if sides[side] is None or not sides[side].isAlive():
            sides[side] = libvirt.open(uris[side])
        domain = sides[side].lookupByUUIDString(uuid)
        return int(domain.state()[0]), int(domain.ID())
    except libvirt.libvirtError:
        return None


if __name__ == "__main__":
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    role, *arguments = sys.argv[1:]
    print(json.dumps({"start": attack, "look": look}[role](*arguments)), flush=True)
