"""One domain, one attempt: look, plan, apply; look again when libvirt was faster.

The heart of convert, revert, the hook, the reconciler's fast path and the retention of logs.
The hook loads this module.
"""

from collections.abc import Callable

from uuidfs.apply.applier import Applier
from uuidfs.errors import Changed
from uuidfs.files import change
from uuidfs.plan.steps import Plan, Step

TRIES = 5  # looks at a domain that keeps changing, before it is left to the next run


def attempt(
    applier: Applier,
    look: Callable[[], Plan],
    done: list[Step],
    look_again: Callable[[], None] = lambda: None,
    tries: int = TRIES,
) -> Plan:
    """Plan by ``look`` and apply, with the domain's lock held; returns the plan that was done.

    ``done`` gets each step that was applied, also of tries that came to no end. Before another
    try ``look_again`` forgets what was known of names. Raises what a step or ``look`` raises;
    Changed only after the last try. Every step that is in ``done`` stays done.
    """

    def once() -> Plan:
        plan = look()
        for step in plan.steps:
            applier.run(step)
            done.append(step)
            change.trace("attempt: step done")
        return plan

    def forget() -> None:
        applier.close_domain()
        look_again()

    return again(once, forget, tries)


def again(act: Callable[[], Plan], forget: Callable[[], None], tries: int = TRIES) -> Plan:
    """Act until libvirt changes nothing meanwhile; ``forget`` what was known before another try.

    Raises what ``act`` raises; Changed only after the last try.
    """
    for _ in range(tries - 1):
        try:
            return act()
        except Changed:
            forget()
    return act()
