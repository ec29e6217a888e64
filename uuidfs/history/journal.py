"""What the host's journal has of a domain: the lines of the reconciler, the hook and of trips.

Asked for by journalctl(1), systemd 252 to 257; lines of other users do not count, since anybody can
write one that looks like these.
"""

import glob
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from uuidfs.history.events import Event, Origin, What

_PATIENCE = 30.0  # seconds for the whole journal

_FILES = ("/var/log/journal/*/*.journal", "/run/log/journal/*/*.journal")

_FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+) ?')

_CONVERSIONS = {"fold", "convert", "revert"}

_KNOWN = {"recover": What.TRIP, "local-migrate": What.TRIP, "finish-rename": What.RENAMED}


class Read(NamedTuple):
    """Events, and why there are none, or not all, where that is so."""

    events: tuple[Event, ...]
    reason: str = ""


def of_domain(uuid: str) -> Read:
    """The events of one domain. Never raises for want of a journal."""
    program = shutil.which("journalctl")
    if program is None:
        return Read((), "the journal was not read: there is no journalctl here")
    if not any(glob.glob(pattern) for pattern in _FILES):  # journalctl itself just says nothing
        return Read((), "the journal was not read: there is none on this host")
    command = [program, "--no-pager", "--output=json", f"_UID={os.geteuid()}"]
    command += ["--identifier=uuidfs", "--identifier=uuidfs-hook"]
    try:
        with subprocess.Popen(  # noqa: S603 - a program by its whole path, without a shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            timer = threading.Timer(_PATIENCE, process.kill)
            timer.start()
            try:
                found = tuple(events(process.stdout or (), uuid))
                said = process.stderr.read(1000).decode(errors="replace") if process.stderr else ""
                code = process.wait()
            finally:
                timer.cancel()
    except OSError as error:
        return Read((), f"the journal was not read: {error.strerror}")
    if code or said.strip():
        why = " ".join(said.split()) or f"journalctl ended with {code}"
        return Read(found, f"the journal was not read, or not all of it: {why}")
    return Read(found)


def events(lines: Iterable[bytes], uuid: str) -> Iterator[Event]:
    """The events of a domain in journalctl's JSON; what is no such line is passed over."""
    for line in lines:
        if uuid.encode() not in line:  # most are another domain's
            continue
        try:
            entry = json.loads(line)
            when = int(entry["__REALTIME_TIMESTAMP"]) / 1e6
            text = _text(entry["MESSAGE"])
        except (ValueError, KeyError, TypeError):
            continue
        fields, message = _split(text)
        if fields.get("uuid") == uuid:
            yield _event(when, fields, message)


def _event(when: float, fields: dict[str, str], message: str) -> Event:
    action = fields.get("action", "")
    what = What.CONVERTED if action in _CONVERSIONS else _KNOWN.get(action, What.NOTED)
    words = [fields.get("action", ""), message]
    if "seconds" in fields:
        words.append(f"in {fields['seconds']} s")
    if "downtimes" in fields:
        words.append(f"downtimes {fields['downtimes']} ms")
    text = ", ".join(word for word in words if word)
    return Event(when, what, fields.get("name"), text, Origin.JOURNAL)


def _text(message: Any) -> str:
    """A message that is not UTF-8 comes as numbers (journalctl(1), "json")."""
    if isinstance(message, list):
        return bytes(message).decode("utf-8", "backslashreplace")
    if not isinstance(message, str):
        raise TypeError("no message")
    return message


def _split(text: str) -> tuple[dict[str, str], str]:
    """The fields before a message, as :func:`uuidfs.reconcile.log.line` writes them."""
    fields = {}
    at = 0
    while (match := _FIELD.match(text, at)) is not None:
        value = match[2]
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        fields[match[1]] = value
        at = match.end()
    return fields, text[at:]
