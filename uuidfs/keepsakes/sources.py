"""What of a domain is worth a keepsake: where it is, and what it is called there and here."""

from typing import NamedTuple

from uuidfs.firmware import names, paths
from uuidfs.layout.places import Kind, Layout, Place

AUTOSTART = "autostart"
SAVE = "save"

_TPM = {
    f"tpm~{directory}~{file}.{state}": (directory, f"{file}.{state}")
    for directory, file in (("tpm2", "tpm2-00"), ("tpm1.2", "tpm-00"))
    for state in ("permall", "volatilestate")
}
"""Keepsake -> directory in swtpm/UUID, and file: what libvirt has swtpm write."""


class Source(NamedTuple):
    """A file that libvirt deletes with its domain. ``kept`` is the keepsake's name; ``is_shared``
    that :mod:`uuidfs.firmware` makes it, which tells whose a file is that two domains name."""

    kept: str
    place: Place
    name: str
    is_shared: bool = False

    @property
    def path(self) -> str:
        """For messages."""
        return f"{self.place.path}/{self.name}"


def sources(layout: Layout, uuid: str, name: str, config: bytes) -> list[Source]:
    """All of a domain, whether they are there or not.

    ``config`` is its persistent XML. Of XML that cannot be parsed the firmware is not known.
    """
    found = [Source(SAVE, layout.saves, f"{name}.save")]
    found += firmware(layout, config)
    if b"<tpm" in config:
        place = layout.tpm_states.child(uuid)
        found += [Source(kept, place.child(above), file) for kept, (above, file) in _TPM.items()]
    return found


def firmware(layout: Layout, config: bytes) -> list[Source]:
    """The files of the firmware that a domain's XML names."""
    try:
        claims = paths.claims_of(layout, config)
    except ValueError:
        return []
    found: dict[str, Source] = {}
    for claim in claims:
        where = place_of(layout, claim.path)
        if where is not None:
            shared = _is_libvirts(layout, claim)
            found.setdefault(claim.kind.value, Source(claim.kind.value, *where, shared))
    return list(found.values())


def _is_libvirts(layout: Layout, claim: paths.Claim) -> bool:
    """Whether libvirt has chosen the path, and not a person."""
    above, _, entry = claim.path.rpartition("/")
    written = names.as_written(layout, names.place_of(layout, claim.kind))
    return above == written and names.word_of(claim.kind, entry) is not None


def place_of(layout: Layout, path: str) -> tuple[Place, str] | None:
    """The directory and the name of a path in a domain's XML; None where it is no plain path.

    No component below the layout's base, or "/", may be a link when it is opened.
    """
    parts = tuple(path.split("/")[1:])
    if not path.startswith("/") or any(part in {"", ".", ".."} for part in parts):
        return None
    config, above = layout.names[Kind.CONFIG], layout.state.parent
    if config.below == ("etc", "libvirt", "qemu"):  # all of it is below --root DIR
        return Place(config.base, parts[:-1]), parts[-1]
    if path.startswith(f"{above.path}/"):  # /var/lib may be a link, as for all else there
        parts = tuple(path[len(above.path) + 1 :].split("/"))
        return above.child(*parts[:-1]), parts[-1]
    return Place("/", parts[:-1]), parts[-1]


def source_of(layout: Layout, uuid: str, name: str, kept: str, config: bytes) -> Source | None:
    """Where a keepsake of this name came from; None where that cannot be told."""
    if kept == SAVE:
        return Source(SAVE, layout.saves, f"{name}.save")
    if kept in _TPM:
        above, file = _TPM[kept]
        return Source(kept, layout.tpm_states.child(uuid, above), file)
    return next((one for one in firmware(layout, config) if one.kept == kept), None)


def is_firmware(kept: str) -> bool:
    """Whether a keepsake is a file of the firmware."""
    return kept in {kind.value for kind in names.Firmware}


def is_tpm(kept: str) -> bool:
    """Whether a keepsake is a file of an emulated TPM."""
    return kept in _TPM
