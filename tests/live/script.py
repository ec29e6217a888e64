"""A script of steps that is run on two hosts, and what was seen after each step."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from difflib import unified_diff

from tests.live.private_host import PrivateHost
from tests.live.views import files, plain_files, views, without_times
from tests.support.process import Done


@dataclass(frozen=True)
class Step:
    """One thing that happens to a host; ``act`` returns what a person would see of it."""

    title: str
    act: Callable[[PrivateHost], Done | None]


@dataclass(frozen=True)
class Script:
    """Steps under a name; ``same_logs`` when no domain changes its name, so that logs compare."""

    name: str
    steps: tuple[Step, ...]
    same_logs: bool = False


@dataclass(frozen=True)
class Seen:
    """What a person sees after a step."""

    step: str
    exit: int = 0
    out: str = ""
    err: str = ""
    views: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Everything as lines, for a comparison that reads well."""
        parts = [("exit", str(self.exit)), ("stdout", self.out), ("stderr", self.err)]
        parts += sorted(self.views.items()) + sorted(self.files.items())
        return [f"[{name}] {line}" for name, text in parts for line in text.splitlines() or [""]]


def virsh(*words: str, edit: str | None = None) -> Step:
    """A virsh command; ``edit`` is a sed script that stands in for the editor."""
    env = {"EDITOR": f"sed -i -e '{edit}'", "VISUAL": f"sed -i -e '{edit}'"} if edit else {}
    return Step(f"virsh {words}", lambda host: host.virsh(*words, env=env))


def with_xml(text: str, *words: str) -> Step:
    """A virsh command that reads XML: ``FILE`` among the words stands for the file."""

    def act(host: PrivateHost) -> Done:
        host.path("/run/input.xml").write_text(text)
        return host.virsh(*("/run/input.xml" if word == "FILE" else word for word in words))

    return Step(f"virsh {words}", act)


def shell(line: str) -> Step:
    """A line of shell in the namespace."""
    return Step(line, lambda host: host.run("sh", "-c", line))


def reload() -> Step:
    """SIGHUP to libvirtd."""
    return Step("reload", PrivateHost.reload)


def restart() -> Step:
    """libvirtd ends and starts again; guests go on."""
    return Step("restart", PrivateHost.restart)


def crash() -> Step:
    """libvirtd is killed and started again."""

    def act(host: PrivateHost) -> None:
        host.libvirtd.kill()
        host.libvirtd.start()
        host.reconnected()

    return Step("crash", act)


def put(path: str, text: str) -> Step:
    """Somebody writes a file."""

    def act(host: PrivateHost) -> None:
        host.path(path).write_text(text)

    return Step(f"write {path}", act)


def run_script(
    host: PrivateHost,
    steps: list[Step],
    *,
    between: Callable[[PrivateHost], None],
    convert: bool,
) -> list[Seen]:
    """Run the steps. ``between`` follows each (a restart, say), and so does uuidfs."""
    seen = []
    for step in steps:
        result = step.act(host) or Done(0, "", "")
        if convert:
            convert_all(host, step.title)
        between(host)
        seen.append(
            Seen(
                step.title,
                result.code,
                without_times(result.out),
                without_times(result.err),
                views(host),
                files(host),
            )
        )
    return seen


def convert_all(host: PrivateHost, after: str) -> None:
    """Convert, and see that nothing is left to convert."""
    done = host.uuidfs("convert", "--all")
    assert done.code == 0, f"after {after}: {done}"
    assert plain_files(host) == [], f"not converted after {after}: {done}"


def run_both(
    plain: PrivateHost,
    converted: PrivateHost,
    steps: list[Step],
    *,
    between: Callable[[PrivateHost], None] = lambda host: None,
    convert: bool = True,
) -> tuple[list[Seen], list[Seen]]:
    """Run the steps on both hosts at the same time."""
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run_script, plain, steps, between=between, convert=False)
        second = pool.submit(run_script, converted, steps, between=between, convert=convert)
        return first.result(), second.result()


def differences(expected: list[Seen], got: list[Seen]) -> str:
    """The first step after which the hosts differ, as a diff; empty when there is none."""
    for plain, converted in zip(expected, got, strict=True):
        diff = list(unified_diff(plain.lines(), converted.lines(), "plain", "uuidfs", n=0))
        if diff:
            return "\n".join([f"after {plain.step}:", *diff])
    return ""
