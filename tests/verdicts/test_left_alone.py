"""What an adapter leaves to be seen where 16 bits took its rank: tensors that it never touched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from parentage.records.absence import Absent
from parentage.records.evidence import Coverage, Evidence, ModelPin, ModelRole, TensorEvidence
from parentage.records.recognition import Finding, Recognition
from parentage.verdicts.judge import judge
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.left_alone import left_alone_words, weigh_left_alone
from parentage.verdicts.weighing import Status
from tests.verdicts.test_forks import COLUMNS, ROWS, tensor_of


def _readings(embedding: float = 0.0, vector: float = 0.0, share: float | None = None) -> Readings:
    """Eight changed matrices beside an embedding and a norm, changed by so much."""
    rng = np.random.default_rng(7)
    tensors = [_tensor(f"layers.{k}.weight", rng, 1e-3) for k in range(8)]
    tensors.append(replace(_tensor("embed.weight", rng, embedding), component="embedding"))
    tensors.append(replace(_tensor("norm.weight", rng, vector), component="norm", shape=(ROWS * COLUMNS,)))
    roles = (ModelRole.SUSPECT, ModelRole.PARENT)
    pins = tuple(
        ModelPin(n, r, n, Absent("local"), ()) for n, r in zip(("suspect", "base"), roles, strict=True)
    )
    coverage = Coverage(len(tensors), len(tensors), 0, 0, 0, ())
    evidence = Evidence({}, {}, {}, pins, coverage, (), tuple(tensors), (), (), ())
    return Readings(evidence if share is None else replace(evidence, recognition=_low_rank(share)))


def _tensor(name: str, rng: np.random.Generator, by: float) -> TensorEvidence:
    base = rng.normal(size=ROWS * COLUMNS)
    made = tensor_of(name, base + by * rng.normal(size=base.size), [base])
    return made if by else replace(made, equal=(base.size,), cast_equal=(base.size,))


def _low_rank(share: float) -> Recognition:
    row: dict[str, Any] = {
        "rank": 0,
        "excess": share,
        "share": share,
        "crossing": 0,
        "forward": 0.0,
        "backward": 0.0,
        "rows": 512,
        "columns": 512,
        "cast": False,
        "scaled": False,
    }
    measures = {"shared": 10, "changed_matrices": 8, "changed_vectors": 0, "rows": [row] * 3}
    return Recognition(0, (), (), findings=(Finding("low-rank", (0, 1), ("a", "b", "c"), measures),))


def test_an_adapter_is_named_where_only_matrices_of_layers_changed() -> None:
    readings = _readings()
    found = weigh_left_alone(readings)
    assert found is not None
    assert found.status is Status.UNDETERMINED
    assert [relation for relation, _ in found.live] == ["adapter-fine-tune", "fine-tune"]
    verdict = judge(readings.evidence).verdict
    assert verdict.status == "undetermined"
    assert left_alone_words(readings) in verdict.sentence
    assert "all 8 matrices of its layers differ from those of base" in verdict.sentence
    assert "its embedding and 1 vector are equal" in verdict.sentence


def test_a_training_that_moved_the_embedding_is_no_adapter() -> None:
    assert weigh_left_alone(_readings(embedding=1e-4)) is None
    assert left_alone_words(_readings(embedding=1e-4)) == ""


def test_a_training_that_moved_a_norm_is_no_adapter() -> None:
    assert weigh_left_alone(_readings(vector=1e-4)) is None


def test_it_says_that_rounding_took_the_rank_only_where_it_did() -> None:
    told = {}
    for share in (0.004, 5.0):
        found = weigh_left_alone(_readings(share=share))
        assert found is not None
        told[share] = found.live[0][1]
    assert "0.4% of the energy that rounding alone leaves" in told[0.004]
    assert "rounding" not in told[5.0]
