"""The figures of one pass, from what it did and what is on disk."""

from uuidfs.convert.results import RunResult
from uuidfs.files.directory import Directory
from uuidfs.files.trusted import TrustedDirs
from uuidfs.layout.places import Kind, Layout
from uuidfs.outdated.record import OutdatedRecord
from uuidfs.reconcile.metrics import Figures
from uuidfs.reconcile.tally import Tally
from uuidfs.runtime.reconciler_state import ReconcilerState
from uuidfs.trash.entries import BINS, Bin, entries


def figures_of(
    layout: Layout,
    result: RunResult,
    tally: Tally,
    state: ReconcilerState,
    outdated: OutdatedRecord | None,
) -> Figures:
    """What there is to tell of a pass. Raises UuidfsError when the trash cannot be listed."""
    sizes: dict[Bin, tuple[int, int]] = dict.fromkeys(BINS, (0, 0))
    for entry in entries(layout):
        files, size = sizes[entry.kind]
        sizes[entry.kind] = files + 1, size + entry.size
    return Figures(
        state, result.names, _states(layout, result), tally.folds, tally.errors, sizes, outdated
    )


def _states(layout: Layout, result: RunResult) -> dict[str, str]:
    """By UUID. ``plain``: the pass told nothing, and yet neither config nor log is behind a link,
    as where the configuration leaves both kinds out."""
    states = {}
    with TrustedDirs(layout) as dirs:
        looked = [(dirs.names(Kind.CONFIG), ".xml"), (dirs.names(Kind.LOG), ".log")]
        there = [(names, suffix) for names, suffix in looked if names is not None]
        for domain in result.domains:
            if domain.name is None:
                continue
            if domain.busy:
                states[domain.uuid] = "busy"
            elif domain.error:
                states[domain.uuid] = "error"
            else:
                plain = _is_plain(there, domain.name)
                states[domain.uuid] = "plain" if plain else "converted"
    return states


def _is_plain(there: list[tuple[Directory, str]], name: str) -> bool:
    found = [names.look(f"{name}{suffix}") for names, suffix in there]
    return any(entry is not None and entry.is_file for entry in found) and not any(
        entry is not None and entry.text is not None for entry in found
    )
