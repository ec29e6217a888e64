"""What is known of one domain's firmware: the files, whose they are, and who else names them."""

from collections.abc import Container, Iterable
from typing import NamedTuple

from uuidfs.files.directory import Directory, opened
from uuidfs.files.entry import Entry
from uuidfs.firmware import kept
from uuidfs.firmware.definitions import Domain
from uuidfs.firmware.names import Firmware, as_written, called_after, place_of, word_of
from uuidfs.firmware.paths import Claim
from uuidfs.layout.names import is_uuid
from uuidfs.layout.places import Layout, Place


class Twin(NamedTuple):
    """Another name of a domain's file; ``is_open``: a domain that runs names it."""

    entry: str
    found: Entry
    is_open: bool


class Back(NamedTuple):
    """Where the file goes when it gets libvirt's own name again; ``taken`` says why it cannot,
    ``is_linked`` that it has that name already."""

    entry: str
    path: str
    taken: str | None
    is_linked: bool


class File(NamedTuple):
    """One file that a domain claims, in libvirt's own directory for it.

    ``entry`` is its name now and ``own`` the one that is made of the UUID; ``path`` is what the
    definition says. ``owner`` is whose the file is by the kept links, None where they do not tell.
    ``others`` are further domains that claim the path, ``open_by`` those of them that run with it,
    ``is_open``: one that runs does, be it this one.
    ``renamed``: the domain has got another name since uuidfs has last seen it.
    ``others_fresh``: they were defined after the file was last written, and have never run.
    ``twins`` are further names of the file at ``own``, else at ``entry``, without other UUIDs'.
    """

    kind: Firmware
    place: Place
    path: str
    entry: str
    own: str
    own_path: str
    implied: bool
    at_entry: Entry | None
    at_own: Entry | None
    owner: str | None = None
    kept: Entry | None = None
    others: tuple[str, ...] = ()
    others_fresh: bool = False
    renamed: bool = False
    open_by: tuple[str, ...] = ()
    is_open: bool = False
    twins: tuple[Twin, ...] = ()
    back: Back | None = None

    @property
    def word(self) -> str:
        """Whose name the file's is made of."""
        return word_of(self.kind, self.entry) or ""


class View(NamedTuple):
    """All that concerns one domain's firmware."""

    uuid: str
    name: str
    running: bool
    persistent: bool
    files: tuple[File, ...]


class Views:
    """Makes views, from definitions and from what lies in libvirt's directories."""

    def __init__(
        self, layout: Layout, domains: Iterable[Domain], defined: Container[str] | None = None
    ) -> None:
        """``defined``: the UUIDs of all domains that there are; None where that is not known."""
        self._layout = layout
        self._domains = {domain.uuid: domain for domain in domains}
        self._claimed: dict[str, list[Domain]] = {}
        for domain in self._domains.values():
            for path in domain.paths:
                self._claimed.setdefault(path, []).append(domain)
        self._defined = defined
        self._owners = kept.all_owners(layout)
        self._listed: dict[Place, dict[int, tuple[str, ...]]] = {}

    def claimants(self, path: str) -> tuple[Domain, ...]:
        """The domains that name this path."""
        return tuple(self._claimed.get(path, ()))

    def _live_at(self, path: str) -> list[Domain]:
        """Those that run with it: QEMU opens it again by its name, at a migration for example."""
        return [d for d in self.claimants(path) if any(claim.path == path for claim in d.live)]

    def name_of(self, uuid: str) -> str:
        """For messages."""
        return self._domains[uuid].name

    def view(self, uuid: str) -> View | None:
        """One domain's; None where it claims nothing. Raises UuidfsError."""
        domain = self._domains.get(uuid)
        if domain is None:
            return None
        chosen = domain.claims if domain.persistent else domain.live
        files = [file for claim in chosen if (file := self._file(domain, claim)) is not None]
        return View(uuid, domain.name, domain.running, domain.persistent, tuple(files))

    def _file(self, domain: Domain, claim: Claim) -> File | None:
        """None for a path that libvirt has not chosen: whoever chose it knows why."""
        place = place_of(self._layout, claim.kind)
        above, _, entry = claim.path.rpartition("/")
        if above != as_written(self._layout, place) or word_of(claim.kind, entry) is None:
            return None
        directory = opened(place)
        mine = kept.kept(self._layout, domain.uuid, claim.kind)
        if directory is None:  # and so no file
            file = self._bare(domain, claim, place, entry, mine)
            named = called_after(claim.kind, entry, domain.name)
            file = file._replace(back=Back(named, f"{above}/{named}", None, is_linked=False))
            return self._beside(domain, file)
        with directory:
            return self._looked(domain, claim, directory, entry, mine)

    def _bare(
        self, domain: Domain, claim: Claim, place: Place, entry: str, mine: Entry | None
    ) -> File:
        own = called_after(claim.kind, entry, domain.uuid)
        return File(
            claim.kind,
            place,
            claim.path,
            entry,
            own,
            f"{as_written(self._layout, place)}/{own}",
            claim.implied,
            None,
            None,
            kept=mine,
            renamed=domain.renamed,
        )

    def _beside(self, domain: Domain, file: File) -> File:
        """Who else names the path at which the file is."""
        path = f"{as_written(self._layout, file.place)}/{file.entry}"
        others = [d for d in self.claimants(path) if d.uuid != domain.uuid]
        written = file.at_entry.mtime if file.at_entry is not None else 0
        return file._replace(
            others=tuple(d.name for d in others),
            others_fresh=domain.ran and all(not d.ran and d.defined > written for d in others),
            open_by=tuple(d.name for d in self._live_at(path) if d.uuid != domain.uuid),
            is_open=bool(self._live_at(path)),
        )

    def _looked(
        self, domain: Domain, claim: Claim, directory: Directory, entry: str, mine: Entry | None
    ) -> File:
        file = self._bare(domain, claim, directory.place, entry, mine)
        at_own = directory.look(file.own)
        at_entry = directory.look(entry)
        if mine is not None and self._others(domain.uuid, mine):
            file, mine = file._replace(kept=None), None  # left to another domain since
        if (
            mine is not None
            and at_own is None
            and not mine.same_inode(at_entry)
            and (at_entry is None or domain.renamed)
        ):
            # Renamed, and libvirt chooses, or has chosen, another path: the file has its former
            # name, whatever is at the new one.
            former = self._names_of(directory, claim.kind, mine)
            if former:
                entry, at_entry = former[0]
        owner = self._owner(directory, claim.kind, domain.uuid, at_entry)
        found = file._replace(
            entry=entry,
            at_entry=at_entry,
            at_own=at_own,
            owner=owner,
            twins=self._twins(claim.kind, directory, {file.own, entry}, at_own or at_entry),
            back=self._back(domain, claim.kind, directory, file.own, at_own),
        )
        return self._beside(domain, found)

    def _others(self, uuid: str, file: Entry) -> set[str]:
        """For which other domains a file is noted. An undefined one may have left its file to
        another one."""
        noted = self._owners.get((file.dev, file.ino), set()) - {uuid}
        return {other for other in noted if self._is_defined(other)}

    def _is_defined(self, uuid: str) -> bool:
        return self._defined is None or uuid in self._defined

    def _owner(
        self, directory: Directory, kind: Firmware, uuid: str, file: Entry | None
    ) -> str | None:
        """Whose a file is by our links, or, where there is none, by a name made of the UUID: such
        names QEMU's user can make, too."""
        if file is None:
            return None
        others = self._others(uuid, file)
        if uuid in self._owners.get((file.dev, file.ino), ()):
            return uuid if not others else None
        if others or file.nlink < 2:
            return min(others, default=None)
        words = (word_of(kind, entry) or "" for entry, _ in self._names_of(directory, kind, file))
        return next(
            (word for word in words if word != uuid and is_uuid(word) and self._is_defined(word)),
            None,
        )

    def _twins(
        self, kind: Firmware, directory: Directory, known: set[str], file: Entry | None
    ) -> tuple[Twin, ...]:
        if file is None or not file.is_file or file.nlink < 2:
            return ()
        above = as_written(self._layout, directory.place)
        return tuple(
            Twin(entry, found, bool(self._live_at(f"{above}/{entry}")))
            for entry, found in self._names_of(directory, kind, file)
            if entry not in known and not is_uuid(word_of(kind, entry) or "")
        )

    def _back(
        self, domain: Domain, kind: Firmware, directory: Directory, own: str, at_own: Entry | None
    ) -> Back:
        entry = called_after(kind, own, domain.name)
        path = f"{as_written(self._layout, directory.place)}/{entry}"
        there = directory.look(entry)
        is_linked = there is not None and there.same_inode(at_own)
        others = [d.name for d in self.claimants(path) if d.uuid != domain.uuid]
        taken = None
        if others:
            taken = f"{path} is the path of {others[0]!r}: two domains would share one file"
        elif there is not None and not is_linked:
            taken = f"{path} is another file; remove it if nobody needs it"
        return Back(entry, path, taken, is_linked)

    def _names_of(
        self, directory: Directory, kind: Firmware, file: Entry
    ) -> list[tuple[str, Entry]]:
        """The names in libvirt's directory that this file has, of those that libvirt chooses."""
        if directory.place not in self._listed:  # once: there may be thousands of domains
            self._listed[directory.place] = directory.by_inode()
        found = []
        for entry in sorted(self._listed[directory.place].get(file.ino, ())):
            there = directory.look(entry) if word_of(kind, entry) is not None else None
            if there is not None and there.same_inode(file):
                found.append((entry, there))
        return found
