"""Everything that libvirt says about its domains, as text that can be compared."""

import re
import shlex

from tests.live.guest import DISKS, uuid
from tests.live.private_host import DAEMON_LOG, PrivateHost

# What differs between two runs of one script whatever happens: when it was.
_TIMES = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? ?[+-]\d{4}"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "<time>"),
    (re.compile(r"<creationTime>\d+</creationTime>"), "<creationTime/>"),
    (re.compile(r"CPU time: +[\d.]+s"), "CPU time: <time>"),
    (re.compile(r"\b1[6-9]\d{8}\b"), "<epoch>"),  # names that libvirt makes from the clock
)
_PROCESS = (
    (re.compile(r"\bfd=\d+"), "fd=<fd>"),
    (re.compile(r"from pid \d+"), "from pid <pid>"),
    (re.compile(r"^<time>: (\d+): "), "<time>: <thread>: "),
    (re.compile(r" : (\w+):\d+ : "), r" : \1 : "),
)
# What the daemon says at its start about this machine, and says so once or several times.
_ABOUT_THE_MACHINE = ("ethtool", "TSC", "dbus", "DBus", "dmidecode", "udev", "dnsmasq")
_PROMPT = "virsh # "
GUESTS = tuple(uuid(number) for number in range(1, DISKS + 1))
LISTS = (
    "list --all",
    "list --all --uuid",
    "list --all --autostart --name",
    "list --all --managed-save",
)


def without_times(text: str) -> str:
    """Replace points in time."""
    for pattern, mark in _TIMES:
        text = pattern.sub(mark, text)
    return text


def ask(host: PrivateHost, questions: list[str]) -> dict[str, str]:
    """Put many virsh commands to one virsh process; stdout and stderr of each, by command."""
    if not questions:
        return {}
    script = "".join(f"{question}\n" for question in questions)
    wide = {"COLUMNS": "10000"}  # virsh echoes what it is told, and readline cuts long lines
    text = host.run("sh", "-c", "exec virsh -q 2>&1", text=script, env=wide).out
    answers = {}
    for question in questions:
        before, separator, text = text.partition(f"{_PROMPT}{question}\n")
        assert separator, f"virsh did not get to {question!r}: {before}"
        answers[question] = text.partition(_PROMPT)[0]
    return answers


def views(host: PrivateHost) -> dict[str, str]:
    """All views of all guests. They go by UUID here, so any name will do.

    One virsh process asks for everything about every guest there may be (what it says about
    one that is not there compares too), a second one for what the first one listed.
    """
    metadata = [
        f"{kind}-list {uuid} --name" for uuid in GUESTS for kind in ("snapshot", "checkpoint")
    ]
    wanted = [
        question
        for uuid in GUESTS
        for question in (
            f"dominfo {uuid}",
            f"dumpxml {uuid}",
            f"dumpxml --inactive {uuid}",
            f"snapshot-list --tree {uuid}",
            f"snapshot-current --name {uuid}",
            f"checkpoint-list --tree {uuid}",
        )
    ]
    seen = ask(host, [*LISTS, *metadata, *wanted])
    details = [
        f"{question.partition('-list')[0]}-dumpxml {question.split()[1]} {shlex.quote(entry)}"
        for question in metadata
        for entry in seen[question].splitlines()
        if entry and not entry.startswith("error: ")
    ]
    seen |= ask(host, details)
    return {question: without_times(answer) for question, answer in seen.items()}


def files(host: PrivateHost) -> dict[str, str]:
    """What every name path of libvirt's gives when it is opened; logs apart."""
    found = {}
    for pattern in ("etc/qemu/*.xml", "lib/qemu/snapshot/*/*", "lib/qemu/checkpoint/*/*"):
        for path in host.root.glob(pattern):
            found[str(path.relative_to(host.root))] = without_times(path.read_text())
    for path in host.root.glob("etc/qemu/autostart/*"):
        name = str(path.relative_to(host.root))
        target = host.resolve(f"/etc/libvirt/qemu/autostart/{path.name}")
        found[name] = f"{path.readlink()}: {'there' if target.exists() else 'dangling'}"
    for path in (host.root / "lib/qemu/save").glob("*"):
        found[str(path.relative_to(host.root))] = "there"
    return found


def plain_files(host: PrivateHost) -> list[str]:
    """The regular files at name paths, all of which uuidfs should have folded."""
    patterns = ("etc/qemu/*.xml", "lib/qemu/snapshot/*/*", "lib/qemu/checkpoint/*/*", "log/qemu/*")
    return sorted(
        str(path.relative_to(host.root))
        for pattern in patterns
        for path in host.root.glob(pattern)
        if path.is_file() and not path.is_symlink()
    )


def logs(host: PrivateHost) -> dict[str, str]:
    """What every log of libvirt's gives when it is opened by name."""
    found = {}
    for path in (host.root / "log/qemu").glob("*"):
        if path.name != "by-uuid":
            text = without_times(path.read_text())
            for pattern, mark in _PROCESS[:2]:
                text = pattern.sub(mark, text)
            found[path.name] = text
    return found


def errors(host: PrivateHost) -> str:
    """The different errors and warnings in the daemon's own log."""
    found = set()
    for line in host.path(DAEMON_LOG).read_text().splitlines():
        if ": error : " in line or ": warning : " in line:
            text = without_times(line)
            for pattern, mark in _PROCESS:
                text = pattern.sub(mark, text)
            if not any(word in text for word in _ABOUT_THE_MACHINE):
                found.add(text)
    return "\n".join(sorted(found))
