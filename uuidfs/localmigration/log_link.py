"""The log's link under a new name, before virtlogd opens it: one history goes on in one file."""

import contextlib

from uuidfs.apply.applier import Applier
from uuidfs.errors import UuidfsError
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind, Layout
from uuidfs.plan.steps import Op, Step

BY = "local-migrate"


def link_log(layout: Layout, uuid: str, name: str) -> None:
    """Link ``name``.log to the domain's log, where it has one and the name is free."""
    step = Step(Op.ADD_LINK, Kind.LOG, uuid, "", f"{name}.log", f"{uuid}.log")
    with contextlib.suppress(UuidfsError), TrustedDirs(layout) as dirs:
        store, names = dirs.store(Kind.LOG), dirs.names(Kind.LOG)
        if (
            store is not None
            and names is not None
            and store.look(step.store_entry) is not None
            and names.look(step.entry) is None
        ):
            with Applier(dirs, BY) as applier:
                applier.run(step)
