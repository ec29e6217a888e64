"""Runs shell lines from the documents on a private host, as on a host with systemd."""

import re

from tests.live.private_host import DAEMON, DAEMON_LOG, ENVIRONMENT, PROGRAM, PrivateHost
from tests.support.process import REPOSITORY, Done

# A private host has no systemd. As with that, `start` returns when the daemon answers.
SYSTEMCTL = f"""\
#!/bin/sh
end() {{
    pid=$(cat /run/{DAEMON}.pid)
    kill -s "$1" "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}}
begin() {{ {PROGRAM} --daemon --pid-file /run/{DAEMON}.pid; }}
case $1 in
    stop) end TERM ;;
    start) begin ;;
    restart) end TERM && begin ;;
    *) exit 1 ;;
esac
"""


def block(language: str, section: str) -> str:
    """The one block of a language in a section of a document."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert len(found) == 1, f"one block of {language} in: {section[:60]}"
    return str(found[0])


# What each script begins with: a directory of its own, and `domain`.
DEFECTS = REPOSITORY / "docs/libvirt-defects.md"
PREAMBLE = block("sh", DEFECTS.read_text().partition("\n## ")[0])


def version(host: PrivateHost) -> str:
    """libvirt's version, such as 9.0.0."""
    return host.run(PROGRAM, "--version").ok().out.split()[-1]


def run_lines(host: PrivateHost, script: str, start: str = "") -> Done:
    """Run them, after ``start``, by bash -eu; the result has what they wrote as errors, too."""
    bin_ = host.path("/run/bin")
    bin_.mkdir()
    (bin_ / "systemctl").write_text(SYSTEMCTL)
    (bin_ / "systemctl").chmod(0o755)
    env = {
        "PATH": f"/run/bin:{ENVIRONMENT['PATH']}",
        "TMPDIR": "/var/lib/libvirt/images",
        "DAEMON_LOG": DAEMON_LOG,
    }
    done = host.run("bash", "-euc", PREAMBLE + start + script, env=env)
    errors = (path.read_text() for path in host.path(env["TMPDIR"]).glob("*/errors"))
    return Done(done.code, done.out, done.err + "".join(errors), ("bash", script))


def lines(text: str) -> list[str]:
    """What counts: lines that are not empty."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]
