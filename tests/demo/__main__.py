"""``python -m tests.demo``: first two sample trees, then a real libvirt where there is one."""

import signal
import sys
import time

from tests.demo import live, trees
from tests.demo.screen import Screen


def main() -> int:
    """Run what can be run here; what cannot is said in one line."""
    screen, begun = Screen(sys.stdout), time.monotonic()
    trees.show(screen)
    reason = live.missing_here()
    if reason:
        screen.heading("And a real guest?")
        screen.note(f"Not here: {reason}. As root, with libvirt and QEMU, this goes on with")
        screen.note("a live rename of a guest that counts, in a namespace of its own.")
    else:
        live.show(screen)
    screen.heading(f"That was all of it: {time.monotonic() - begun:.0f} s.")
    screen.note("Install it: README.md. What it never does: docs/promises.md.")
    return 0


def _end(number: int, frame: object) -> None:
    """Ended from outside: trees and namespaces go as they do at the end."""
    sys.exit(128 + number)


if __name__ == "__main__":
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, _end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `make demo | head`
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # no space for the trees, or for what is shown
        sys.exit(f"make demo: {error}")
