"""The keepsakes of a domain that comes back: which have to get a name, are there, or stay."""

import os
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from uuidfs.files.directory import existing
from uuidfs.host.redefine import parse
from uuidfs.keepsakes.put import Held, Put, look, put, put_tpm, take_back, take_back_tpm
from uuidfs.keepsakes.sources import SAVE, Source, is_firmware, is_tpm, source_of
from uuidfs.layout.places import Layout
from uuidfs.survey.scan import Problem
from uuidfs.undelete.candidates import Candidate, Part
from uuidfs.undelete.results import Action

_AT_ITS_END = 10.0  # seconds; QEMU closes its disks after the save is complete


class Do(Protocol):
    """Does a step, or only tells of it."""

    def __call__(self, action: Action, subject: str, call: Callable[[], object]) -> None:
        """``call`` is not called in a dry run."""


class _Wanted(NamedTuple):
    part: Part
    source: Source

    @property
    def pair(self) -> tuple[Held, Source]:
        """What it is, and where it belongs."""
        return Held(self.part.place, self.part.file), self.source


class Keepsakes:
    """``back``: what is at its place, so that its name in the trash may go. ``stays``: what may not
    come back, and why; ``left``: what should have."""

    def __init__(self, layout: Layout, candidate: Candidate, name: str, config: str) -> None:
        """Look; changes nothing. ``name`` and ``config`` as libvirt gets them."""
        self.back: list[Part] = []
        self.stays: list[Problem] = []
        self.left: list[Problem] = []
        self._layout = layout
        self._uuid = candidate.uuid
        self._files: list[_Wanted] = []
        self._tpm: list[_Wanted] = []
        self._made: list[Put] = []
        self._made_tpm: list[Put] = []
        self._is_done = False  # and a dry run never comes to it
        for part in candidate.keepsakes:
            source = source_of(layout, candidate.uuid, name, part.file, config.encode())
            if source is None:
                self.left.append(Problem(part.path, "the definition names no place for it"))
            elif (why := _may_not(candidate, name, config, part)) is not None:
                self.stays.append(Problem(part.path, why))
            else:
                self._look(_Wanted(part, source), is_there=candidate.bound is not None)

    def _look(self, one: _Wanted, *, is_there: bool) -> None:
        """Where libvirt has the domain by now, its files were put back before that."""
        try:
            self._note(one, look(*one.pair))
        except FileNotFoundError:
            if is_firmware(one.part.file) and _links(one.part) > 1:
                why = "it is not put back: the file has another name, and may be another domain's"
                self.stays.append(Problem(one.part.path, why))
            elif is_there and one.part.file == SAVE:
                self.back.append(one.part)  # a start has used it up
            elif not is_there:
                (self._tpm if is_tpm(one.part.file) else self._files).append(one)

    def _note(self, one: _Wanted, found: Put) -> None:
        if found.is_there:
            self.back.append(one.part)
        else:
            why = f"it is not put back: something newer, or another's, is at {found.source.path}"
            self.stays.append(Problem(one.part.path, why))

    def put(self, do: Do) -> None:
        """Give them their names. Raises UuidfsError."""
        for one in self._files:
            do(Action.PUT_BACK, one.source.path, partial(self._put_file, one))
        if self._tpm:
            path = self._layout.tpm_states.child(self._uuid).path
            do(Action.PUT_BACK, path, self._put_tpm)
        if not self._is_done:
            self.back += [one.part for one in (*self._files, *self._tpm)]

    def _put_file(self, one: _Wanted) -> None:
        self._sort([one], [put(*one.pair)], self._made)

    def _put_tpm(self) -> None:
        found = put_tpm(self._layout, self._uuid, [one.pair for one in self._tpm])
        self._sort(self._tpm, found, self._made_tpm)

    def _sort(self, wanted: list[_Wanted], found: list[Put], made: list[Put]) -> None:
        self._is_done = True
        for one, done in zip(wanted, found, strict=True):
            if done.made:
                made.append(done)
            self._note(one, done)  # somebody may have been faster

    def take_back(self) -> None:
        """libvirt has refused the domain: what was put goes again. Raises UuidfsError."""
        for one in self._made:
            take_back(one)
        take_back_tpm(self._layout, self._uuid, self._made_tpm)


def _may_not(candidate: Candidate, name: str, config: str, part: Part) -> str | None:
    if candidate.running and (part.file == SAVE or is_tpm(part.file)):
        return "it is not put back: the guest runs"
    if part.file != SAVE or candidate.bound is not None:
        return None
    if name != candidate.name:
        return "it is not put back: libvirt takes no managed save under another name"
    disk = _written_since(config, _written(part))
    return f"it is not put back: since then somebody has written to {disk}" if disk else None


def _links(part: Part) -> int:
    with existing(part.place) as directory:
        found = directory.stat(part.file)
    return found.st_nlink if found is not None else 0


def _written(part: Part) -> float:
    with existing(part.place) as directory:
        found = directory.stat(part.file)
    return found.st_mtime if found is not None else 0.0


def _written_since(config: str, when: float) -> str | None:
    """A disk that was written after a managed save: the guest in that would destroy it.

    Of disks that are no files nothing is known; :mod:`uuidfs.keepsakes.tend` has seen to it that
    the guest itself has not run since.
    """
    for disk in parse(config).iterfind("devices/disk"):
        source = disk.find("source")
        path = source.get("file") if source is not None else None
        if path is None or disk.find("readonly") is not None:
            continue
        try:
            if os.stat(path).st_mtime > when + _AT_ITS_END:
                return path
        except OSError:
            continue  # libvirt says so at the start
    return None
