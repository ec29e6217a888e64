"""What a new domain would inherit, or share, by its name; looks, and changes nothing."""

from collections.abc import Iterator
from typing import NamedTuple

from uuidfs.files.directory import opened
from uuidfs.files.trusted import TrustedDirs
from uuidfs.firmware.definitions import Definitions, Domain
from uuidfs.firmware.names import Firmware, as_written, place_of, word_of
from uuidfs.layout.names import is_uuid
from uuidfs.layout.places import Kind, Layout
from uuidfs.survey.scan import Scan


class Inherited(NamedTuple):
    """What is at ``path``. ``is_notice``: nothing is wrong until a domain gets that name."""

    path: str
    problem: str
    advice: str
    uuid: str | None = None
    is_notice: bool = True


def inherited(layout: Layout, dirs: TrustedDirs, scan: Scan) -> tuple[Inherited, ...]:
    """Two domains with one file, files called after another domain, and what undefined domains
    have left. Raises UuidfsError where a directory cannot be listed."""
    domains, unread = Definitions(layout).all(dirs, scan)
    found = [*_shared(domains), *_called_after_others(layout, scan, domains)]
    if not unread and not scan.incomplete:
        found += [*_orphans(layout, scan, domains), *_tpm_states(layout, scan)]
    return (*found, *_once(layout))


def _shared(domains: tuple[Domain, ...]) -> Iterator[Inherited]:
    claimed: dict[str, list[Domain]] = {}
    for domain in domains:
        for path in domain.paths:
            claimed.setdefault(path, []).append(domain)
    for path, those in sorted(claimed.items()):
        if len(those) > 1:
            names = " and ".join(repr(domain.name) for domain in those)
            yield Inherited(
                path,
                f"{names} have this one file: each sees and overwrites the other's variables, and "
                "undefine --nvram of one deletes it for both",
                "shut both off, copy it, and give one of them the copy (virsh edit)",
                those[0].uuid,
                is_notice=False,
            )


def _called_after_others(
    layout: Layout, scan: Scan, domains: tuple[Domain, ...]
) -> Iterator[Inherited]:
    for domain in domains:
        for claim in domain.claims:
            above, _, entry = claim.path.rpartition("/")
            word = word_of(claim.kind, entry)
            if word is None or above != as_written(layout, place_of(layout, claim.kind)):
                continue
            if word in {domain.name, domain.uuid}:
                continue
            taken = word in scan.uuid_of
            who = f"the domain {word!r}" if taken else f"a new domain called {word!r}"
            yield Inherited(
                claim.path,
                f"it is the file of {domain.name!r}, and {who} may get the same one",
                f"run: uuidfs convert --kind nvram {domain.uuid}",
                domain.uuid,
                is_notice=not taken,
            )


def _orphans(layout: Layout, scan: Scan, domains: tuple[Domain, ...]) -> Iterator[Inherited]:
    claimed = {path for domain in domains for path in domain.paths}
    for kind in Firmware:
        place = place_of(layout, kind)
        directory = opened(place)
        if directory is None:
            continue
        above = as_written(layout, place)
        with directory:
            names = sorted(directory.list())
            had = {
                (found.dev, found.ino)
                for entry in names
                if f"{above}/{entry}" in claimed and (found := directory.look(entry)) is not None
            }
            for entry in names:
                word = word_of(kind, entry)
                found = directory.look(entry) if word is not None else None
                if found is None or word in scan.uuid_of or word in scan.names_of:
                    continue
                if (found.dev, found.ino) not in had:
                    yield Inherited(
                        directory.at(entry),
                        f"no domain is called {word!r}, and a new one of that name gets this file",
                        "move it away, or remove it, if no domain of that name will come back",
                    )


def _tpm_states(layout: Layout, scan: Scan) -> Iterator[Inherited]:
    directory = opened(layout.state.parent.child("swtpm"))
    if directory is None:
        return
    with directory:
        for uuid in sorted(filter(is_uuid, directory.list())):
            if uuid not in scan.names_of:
                yield Inherited(
                    directory.at(uuid),
                    "this TPM's state is of no domain that is defined",
                    "remove it, if that domain will not come back",
                    uuid,
                )


def _once(layout: Layout) -> Iterator[Inherited]:
    directory = opened(layout.names[Kind.CONFIG].child("autostart"))
    if directory is None:
        return
    with directory:
        for entry in sorted(directory.list()):
            name = entry.removesuffix(".xml.once")
            if name != entry and directory.link_text(entry) is not None:
                config = opened(layout.names[Kind.CONFIG])
                if config is None:
                    return
                with config:
                    there = config.look(f"{name}.xml")
                if there is None:
                    yield Inherited(
                        directory.at(entry),
                        f"no domain is called {name!r}, and a new one of that name will be "
                        "started once, unasked, when libvirt starts (11.2)",
                        f"run: uuidfs convert --all, or: rm {directory.at(entry)}",
                    )
