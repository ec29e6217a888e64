"""libvirt's documented steps in any order, with uuidfs's steps, kills and restarts in between."""

import os
import shutil

from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant

from tests.property.machine import HostAtWork
from uuidfs.check import check
from uuidfs.convert.results import Options
from uuidfs.convert.run import convert


class Host(HostAtWork):
    """What has to hold, whatever they do."""

    def teardown(self) -> None:
        try:
            self.quiet()
        finally:
            shutil.rmtree(self.top)

    @invariant()
    def every_name_opens_and_gives_what_libvirt_wrote(self) -> None:
        for path, text in self.libvirtd.truth.items():
            if path.parent.parent in {self.host.snapshot, self.host.checkpoint} and (
                self.host.config_of(path.parent.name) not in self.libvirtd.truth
            ):
                continue  # of a name that is no domain's any more: libvirt is about to remove it
            found = path.read_bytes()
            assert found == text, f"{path} does not give what libvirt wrote"

    @invariant()
    def nothing_comes_back(self) -> None:
        for path in self.host.config.glob("*.xml"):
            assert path in self.libvirtd.truth, f"{path}: libvirt removed it"

    def quiet(self) -> None:
        """libvirt finishes what it is doing, then uuidfs does: the layout is reached."""
        while self.at_work:
            self._step(1)
        self._events_are_enough()
        for _ in range(2):
            result = convert(self.layout, Options())
            assert result.exit_code == 0, [d.error for d in result.domains if d.error]
            self._follow_refiled()
        self.every_name_opens_and_gives_what_libvirt_wrote()
        self.nothing_comes_back()
        assert check(self.layout).findings == ()
        for name, known in self.libvirtd.domains.items():
            assert self.host.config_of(name).is_symlink()
            for snapshot in known.snapshots:
                assert (self.host.snapshot / name / f"{snapshot}.xml").is_symlink()
            for checkpoint in known.checkpoints:
                assert (self.host.checkpoint / name / f"{checkpoint}.xml").is_symlink()
        self.every_log_is_its_domains()
        kept = {path.read_bytes() for path in self.host.root.rglob("*.xml") if path.exists()}
        for what, text in self.libvirtd.removed.items():
            assert text in kept, f"{what}, which libvirt removed, is not in the trash"

    def _events_are_enough(self) -> None:
        """What events name, and the passes that they ask for, leave nothing to be done."""
        for _ in range(4):
            self.look_at_events([], None)
            if not self.pass_due:
                break
            self.full_pass([], None)
        else:
            raise AssertionError("passes without an end")
        assert check(self.layout).findings == (), "no event asked for a pass"

    def every_log_is_its_domains(self) -> None:
        """By name and in the store; and no line is lost, with fewer rollovers than backups."""
        for name, known in self.libvirtd.domains.items():
            lines = [
                line
                for path in self.host.log.glob(f"{name}.log*")
                for line in path.read_text().split()
            ]
            assert lines == [known.uuid] * self.logged[known.uuid], f"the log of {name}"
        for uuid, count in self.logged.items():
            lines = [
                line
                for path in self.host.store("log").rglob(f"{uuid}.log*")
                if path.is_file()
                for line in path.read_text().split()
            ]
            assert lines == [uuid] * count, f"the log of {uuid}"


TestHost = Host.TestCase
TestHost.settings = settings(
    max_examples=int(os.environ.get("UUIDFS_EXAMPLES", "200")),
    stateful_step_count=50,
    derandomize="UUIDFS_EXAMPLES" not in os.environ,  # .ci/run says the same each time
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
