"""Figures for Prometheus, as a file for node_exporter's textfile collector.

Needs prometheus_client (the extra ``uuidfs[metrics]``, Debian's python3-prometheus-client).
Domains are labelled by UUID, which never changes; uuidfs_domain_info tells their names.
"""

import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from uuidfs import __version__
from uuidfs.errors import SystemCallFailed, UuidfsError
from uuidfs.files.small import write_whole
from uuidfs.files.trusted import trusted_directory
from uuidfs.outdated.record import OutdatedRecord
from uuidfs.runtime.reconciler_state import ReconcilerState
from uuidfs.trash.entries import Bin

STATES = ("converted", "plain", "busy", "error")


class Figures(NamedTuple):
    """What one full pass found. ``folds`` and ``errors`` are by UUID, since the start;
    ``states`` are of :data:`STATES`; ``trash`` has the number and bytes of files by kind;
    ``outdated`` is None where nobody has looked."""

    standing: ReconcilerState
    names: Mapping[str, Sequence[str]]
    states: Mapping[str, str]
    folds: Mapping[str, int]
    errors: Mapping[str, int]
    trash: Mapping[Bin, tuple[int, int]]
    outdated: OutdatedRecord | None = None


class NoClientError(UuidfsError):
    """prometheus_client is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "metrics.textfile is set, but prometheus_client is not installed: install "
            "python3-prometheus-client or uuidfs[metrics], or take the key out"
        )


def write(path: str, figures: Figures) -> None:
    """Replace the file, complete or not at all.

    The library renders, and does not write: it opens PATH.PID.TID through whatever link lies
    there, so the directory's owner could have root write over any file. Raises Refused for a
    directory that somebody else can write to, NoClientError or SystemCallFailed.
    """
    try:
        from prometheus_client import CollectorRegistry, generate_latest
    except ImportError as error:
        raise NoClientError from error
    registry = CollectorRegistry()
    registry.register(_Collector(figures))
    data = generate_latest(registry)
    above, name = os.path.split(path)
    with trusted_directory(above) as directory:
        try:
            write_whole(directory, name, data)
        except OSError as error:
            raise SystemCallFailed("write", path, error) from error


class _Collector:
    """Gives the registry plain values; counters here have their values already."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> list[Any]:  # families of an untyped optional library
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        found = self._figures
        now = found.standing
        families: list[Any] = [
            GaugeMetricFamily(f"uuidfs_{name}", text, value=value)
            for name, text, value in (
                ("up", "A reconciler, or reconcile --once, has written this file.", 1),
                ("start_time_seconds", "When that started.", now.since),
                ("pending_spots", "Names that wait for a look.", now.pending),
                ("behind_seconds", "How long the first of them has waited.", now.behind),
                ("last_pass_timestamp_seconds", "When the last full pass ended.", now.passed),
                ("last_pass_duration_seconds", "How long it took.", now.took),
                ("inotify_watches", "Watches in use, about.", now.watches),
                ("polling", "1 when there are no events, and only passes.", bool(now.polling)),
            )
        ]
        states = GaugeMetricFamily("uuidfs_domains", "Domains by state.", labels=["state"])
        for state in STATES:
            states.add_metric([state], sum(each == state for each in found.states.values()))
        info = GaugeMetricFamily(
            "uuidfs_domain_info", "The names of a domain, always 1.", labels=["uuid", "name"]
        )
        for uuid, names in found.names.items():
            for name in names:
                info.add_metric([uuid, _utf8(name)], 1)
        build = GaugeMetricFamily(
            "uuidfs_build_info", "The version that wrote this, always 1.", labels=["version"]
        )
        build.add_metric([__version__], 1)
        families += [states, info, build]
        for title, text, by_uuid in (
            ("uuidfs_folds", "Files that went behind their links.", found.folds),
            ("uuidfs_errors", "What could not be done for a domain.", found.errors),
        ):
            counter = CounterMetricFamily(title, text, labels=["uuid"])
            for uuid, count in by_uuid.items():
                counter.add_metric([uuid], count)
            families.append(counter)
        for title, text, index in (
            ("uuidfs_trash_files", "Files in the trash.", 0),
            ("uuidfs_trash_bytes", "Their size.", 1),
        ):
            gauge = GaugeMetricFamily(title, text, labels=["kind"])
            for kind, values in found.trash.items():
                gauge.add_metric([kind.value], values[index])
            families.append(gauge)
        return families + _outdated(found.outdated)


def _outdated(found: OutdatedRecord | None) -> list[Any]:
    """Of guests whose QEMU was replaced on disk: none at all where nobody has looked."""
    from prometheus_client.core import GaugeMetricFamily

    if found is None:
        return []
    return [
        GaugeMetricFamily(name, text, value=value)
        for name, text, value in (
            (
                "uuidfs_outdated_domains",
                "Running domains whose QEMU was replaced on disk.",
                len(found.guests),
            ),
            (
                "uuidfs_outdated_unknown_domains",
                "Running domains of which that could not be told.",
                found.unknown,
            ),
            ("uuidfs_outdated_timestamp_seconds", "When that was looked at.", found.looked),
        )
    ]


def _utf8(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()
