"""The files that come with uuidfs: in the wheel, or in the checkout."""

from importlib import resources
from pathlib import Path


def hook_script() -> bytes:
    """The hook as shipped: in the wheel, or in the source tree."""
    shipped = resources.files("uuidfs").joinpath("data/qemu")
    if shipped.is_file():
        return shipped.read_bytes()
    return (Path(__file__).parents[2] / "hooks" / "qemu").read_bytes()


def unit_text(name: str) -> str:
    """One of the packages' units, likewise."""
    shipped = resources.files("uuidfs").joinpath(f"data/systemd/{name}")
    if shipped.is_file():
        return shipped.read_text()
    return (Path(__file__).parents[2] / "packaging/systemd" / name).read_text()
