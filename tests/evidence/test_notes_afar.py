"""What a measuring over a network says that it did not look for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from parentage import api
from parentage.evidence.measure import OVER_A_NETWORK, PARTS, _notes_afar
from parentage.records.absence import Absent
from parentage.records.recognition import Recognition

SAVED = Path(__file__).resolve().parents[1] / "golden" / "saved" / "mixed-merge.evidence.json"


def test_parts_that_were_hardly_looked_for_are_told_where_no_rule_gives_everything() -> None:
    found = api.load_evidence(SAVED).recognition
    assert isinstance(found, Recognition)
    assert found.parts
    assert _notes_afar(found) == (OVER_A_NETWORK,)
    first = found.parts[0]
    assert first.matches == first.informative > 0
    unexplained = replace(first, matches=first.informative - 1)
    assert _notes_afar(replace(found, parts=(), replays=())) == (OVER_A_NETWORK, PARTS)
    assert _notes_afar(replace(found, parts=(), replays=(unexplained,))) == (OVER_A_NETWORK, PARTS)
    assert _notes_afar(replace(found, parts=(), replays=(first,))) == (OVER_A_NETWORK,)
    assert _notes_afar(Absent("the suspect equals one of the models")) == (OVER_A_NETWORK,)
