"""The table of scenarios: SHORT in every run of the tests, LONG with UUIDFS_EXHAUSTION=all."""

from tests.exhaustion.scenarios import Scenario

_KILL = "is not what libvirt wrote last"  # a kill between an exchange and what puts it right
_GAP = "snapshot/b/c1.xml does not open"  # a kill while a name is taken off by mistake


def _table(rows: str, *, bursts: int = 0, known: str = "") -> list[Scenario]:
    """One scenario a row: start, files, script, operations."""
    made = []
    for row in rows.strip().splitlines():
        start, files, script, *does = (cell.strip() for cell in row.split("|"))
        made.append(Scenario(start, script, tuple(does), files, bursts=bursts, known=known))
    return made


def _renames_that_died() -> list[Scenario]:
    """libvirt is killed after each of its calls; uuidfs-check.service makes one domain of it."""
    return [Scenario("converted", "rename", ("repair",), "s", calls) for calls in range(1, 8)]


SHORT = [
    *_renames_that_died(),
    *_table(
        """
        plain            | scl | save              | convert
        plain            | l   | rollover          | convert
        half             | s   | snapshot          | convert
        half             | l   | undefine          | revert
        converted        | s   | away              | convert
        two converted    | s   | exchange          | convert
        converted        | l   | save twice        | convert
        converted        | l   | save twice        | fast path
        converted        | s   | snapshot delete   | convert
        converted        | s   | snapshot delete   | revert
        converted        | s   | delete and snapshot | convert
        converted        | c   | checkpoint delete | convert
        converted        | c   | checkpoint delete | revert
        converted        | s   | undefine          | convert
        converted        | s   | undefine          | revert
        converted        | s   | redefine          | convert
        converted        | l   | rollover          | convert
        converted        | l   | rollover          | revert
        converted        | s   | rename            | convert
        converted        | c   | rename            | convert
        converted        | s   | rename            | full pass
        converted        | s   | rename            | repair
        converted        | l   | rename            | revert
        converted        | l   | rename back       | convert
        cleaned          | l   | define            | revert
        plain            | v   | helper rollover   | convert
        converted        | v   | helper rollover   | convert
        converted        | v   | helper rollover   | revert
        converted        | v   | rename            | convert
        converted        | v   | rename and define | convert
        converted        | o   | rename            | convert
        converted        | o   | redefine          | revert
        converted        | o   | rename            | full pass
        converted        | o   | rename and define | convert
        converted        | o   | undefine          | convert
        converted        | o   | redefine          | convert
        undefined        |     | define again      | convert | convert
        converted        |     | save              | revert | fast path
        undefined        | l   | define again      | convert | full pass
        trashed snapshot | s   | snapshot          | restore
        trashed snapshot | s   | undefine          | restore
        trashed config   | l   | define            | restore
        trashed config   | l   | define again      | restore
        """
    ),
    *_table(
        """
        converted | l | save     | convert
        converted | l | save     | fast path
        converted | s | snapshot | convert
        converted | l | rename   | convert
        converted | l | rollover | convert
        """,
        bursts=1,
    ),
    *_table(
        """
        converted | s | snapshot twice | convert
        converted | s | snapshot twice | fast path
        """,
        known=_KILL,
    ),
    *_table(
        """
        converted | l | save           | revert
        converted | l | redefine       | revert
        """
    ),
    *_table("converted | c | rename and snapshot | convert", known=_GAP),
    *_table("converted | c | rename and checkpoint delete | convert"),
]
LONG = [
    *_table(
        """
        plain     | scl | undefine    | convert
        plain     | s   | rename      | convert
        half      | s   | rename      | convert
        half      | s   | undefine    | revert
        converted | s   | rename      | revert
        converted | c   | rename      | revert
        converted | s   | rename back | convert
        converted | s   | save        | convert | convert
        converted | l   | rename      | convert | repair
        converted | l   | rollover twice | convert
        """
    ),
    *_table(
        """
        converted | s | snapshot delete | convert
        converted | s | undefine        | convert
        converted | l | redefine        | convert
        converted | s | rename          | convert
        converted | l | rename          | full pass
        converted | l | rename          | repair
        trashed snapshot | s | snapshot | restore
        trashed config   | l | define   | restore
        """,
        bursts=1,
    ),
    *_table(
        """
        converted | s | redefine       | revert
        converted | l | save           | revert | convert
        """
    ),
    *_table("converted | s | snapshot twice | revert", known=_KILL),
]
