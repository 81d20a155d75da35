"""Model stock is predicted outright, and nothing that it is not is called so."""

from __future__ import annotations

import pytest

from parentage.records.absence import Absent
from tests.recognition.worlds import Made, audit, family, made, recognised


@pytest.mark.parametrize("order", ["OAB", pytest.param("BAO", marks=pytest.mark.slow)])
def test_a_model_stock_is_named_with_its_base_and_every_bit(order: str) -> None:
    models = family(1, count=2, size=3_000)
    suspect = made(Made("model_stock", "OAB", 0), models)
    result = audit(suspect, models, order)
    report, replay = result.report, recognised(result)
    assert (report.verdict.relation, report.verdict.status) == ("model-stock-merge", "supported")
    assert result.evidence.models[replay.operands[0]].name == "O.safetensors"
    assert replay.matches == replay.informative > 4_000
    assert report.post_training.status == "not-detected"
    assert not isinstance(report.replay, Absent)
    assert (report.replay.method, report.replay.match) == ("model_stock", 1.0)
    assert "model stock" in report.verdict.sentence


@pytest.mark.slow
def test_one_changed_element_keeps_a_model_stock_from_being_named() -> None:
    models = family(1, count=2, size=3_000)
    suspect = made(Made("model_stock", "OAB", 0), models)
    name = max(suspect, key=lambda n: suspect[n].bits.size)
    suspect[name].bits[17] ^= 1
    report = audit(suspect, models, "OAB").report
    assert report.verdict.relation != "model-stock-merge"
