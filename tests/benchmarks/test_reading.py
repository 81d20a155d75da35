"""Reading alone: as many bytes as the plan says, whatever the network does."""

from __future__ import annotations

from virtual_hub_parts.reading import read_under
from virtual_hub_parts.server import Conditions


def test_latency_and_failures_change_the_time_and_not_what_is_read() -> None:
    plain = read_under(Conditions(), small=True)
    slow = read_under(Conditions(latency=0.02, failing=0.3), small=True)
    assert plain["failed"] == 0 < slow["failed"]
    assert plain["bytes read"] == slow["bytes read"] > 10**6
    repeated = slow["failed"] + slow["resolves"] - plain["resolves"]
    assert slow["requests"] == plain["requests"] + repeated
    assert plain["resolves"] == 3 * 8
    assert plain["bytes received"] >= plain["bytes read"]
