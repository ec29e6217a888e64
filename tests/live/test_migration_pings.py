"""What a network sees of a local migration: a guest that answers pings, from another namespace."""

import json

from tests.live.migration import uuidfs
from tests.live.networks import CARD, Pinged, bridge
from tests.live.private_host import PrivateHost


def test_a_guest_answers_pings_from_another_namespace(ready: PrivateHost) -> None:
    bridge(ready)
    card = f"<interface type='bridge'><source bridge='br0'/>{CARD}</interface>"
    with Pinged(ready, card).plug() as pinged:
        moved = json.loads(uuidfs(ready, "local-migrate", "a", "--json").ok().out)["domains"][0]
        pinged.over()
    print(f"trip {moved['seconds']:.1f} s, downtimes {moved['downtimes']} ms")
