"""What a reconciler is given: how it shall run, and whom it tells."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from uuidfs.convert.results import Keeping
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind
from uuidfs.reconcile.metrics import Figures
from uuidfs.runtime.reconciler_state import ReconcilerState
from uuidfs.survey.identity import Reader
from uuidfs.survey.identity_lxml import read_lxml


class ReconcilerOptions(NamedTuple):
    """All times in seconds. ``debounce`` is how long a full pass waits for more events; the
    retentions are None for ever; ``firmware`` is a Mode's value (:mod:`uuidfs.settings`)."""

    debounce: float = 0.2
    resync: float = 600.0
    poll: float = 10.0
    kinds: frozenset[Kind] = frozenset(Kind)
    trash_retention: float | None = None
    log_retention: float | None = None
    keeper: Callable[[TrustedDirs], Keeping] | None = None
    firmware: str = "renamed"
    reader: Reader = read_lxml


class Listener(NamedTuple):
    """Whom the reconciler tells of what: the library itself never prints."""

    info: Callable[[str, Mapping[str, object]], None]
    warning: Callable[[str, Mapping[str, object]], None]
    heartbeat: Callable[[ReconcilerState], None]
    """Called every two seconds, and after each pass; also within long ones."""
    figures: Callable[[Figures], None] | None = None
    """Called after each pass."""
    recover: Callable[[], None] | None = None
    """Called when a local migration has lost its owner; must not wait for the recovery."""
    outdated: Callable[[], None] | None = None
    """Called once an hour where there are figures: has somebody else look for outdated guests, who
    leaves a record (:mod:`uuidfs.outdated.record`); must not wait for that."""
