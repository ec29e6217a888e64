"""The model of libvirt makes the calls that the real one was recorded to make."""

from pathlib import Path

from tests.support.libvirt import Libvirtd, Steps
from tests.support.trees import build

DATA = Path(__file__).parents[1] / "data"


def test_the_model_makes_the_recorded_calls(tmp_path: Path) -> None:
    libvirtd = Libvirtd(build(tmp_path / "host", ()).host)
    steps: dict[str, Steps] = {
        "define": libvirtd.define("a", "00000000-0000-4000-8000-000000000001"),
        "autostart": libvirtd.autostart("a"),
        "snapshot": libvirtd.snapshot("a", "s1"),
        "checkpoint": libvirtd.checkpoint("a", "c1"),
        "save": libvirtd.save("a"),
        "rename": libvirtd.rename("a", "c"),
        "snapshot-delete": libvirtd.snapshot_delete("c", "s1"),
        "undefine": libvirtd.undefine("c"),
    }
    assert {path.stem for path in DATA.glob("*.calls")} == set(steps)
    for title, made in steps.items():
        libvirtd.calls.clear()
        for _ in made:
            pass
        recorded = (DATA / f"{title}.calls").read_text().splitlines()
        assert [f"{call} {path}" for call, path in libvirtd.calls] == recorded, title
