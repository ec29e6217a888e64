"""Which running guests execute code that is not on disk any more; looks only.

:func:`outdated` is for programs, :func:`look` tells as well what could not be looked at.
"""

from uuidfs.outdated.results import Looked, Outdated, Reason, ReasonKind
from uuidfs.outdated.search import look, outdated

__all__ = ["Looked", "Outdated", "Reason", "ReasonKind", "look", "outdated"]
