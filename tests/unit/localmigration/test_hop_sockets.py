"""The sockets' names: what AppArmor's generated profile allows, and what fits an address."""

import fnmatch
import socket

import pytest

from uuidfs.localmigration import hop_sockets

UUIDS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(500)]


@pytest.mark.parametrize("name", ["web", "a b", "n" * 50, "ä" * 20])
def test_it_is_called_as_libvirts_generated_profile_allows(name: str) -> None:
    path = hop_sockets.path_of(UUIDS[0], 2, name)
    assert path is not None
    # "/run/libvirt/**/*.tunnelmigrate.dest.NAME" rw, of virt-aa-helper (libvirt 9.0 to 11.3)
    assert fnmatch.fnmatchcase(path, f"/run/libvirt/*/*.tunnelmigrate.dest.{name}")
    assert path.startswith(f"{hop_sockets.directory_of(UUIDS[0])}/")


def test_a_path_is_told_exactly_where_the_kernel_takes_it() -> None:
    with socket.socket(socket.AF_UNIX) as probe:
        for length in range(1, 250):
            path = hop_sockets.path_of(UUIDS[0], 2, "n" * length)
            longest = f"{hop_sockets.directory_of(UUIDS[0])}/2.tunnelmigrate.dest.{'n' * length}"
            fits = True
            try:
                probe.connect(longest)
            except FileNotFoundError:
                pass
            except OSError:  # AF_UNIX path too long
                fits = False
            assert path == (longest if fits else None)


def test_each_domain_has_a_directory_of_its_own() -> None:
    assert len({hop_sockets.directory_of(uuid) for uuid in UUIDS}) == len(UUIDS)
