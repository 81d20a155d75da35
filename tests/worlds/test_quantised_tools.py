"""Quantised copies that other tools made of a real fine-tune are told from copies of its relatives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parentage import api
from parentage.records.quantized import Quantized

MADE = Path(__file__).parents[1] / "fixtures" / "quantised"
# Two bits of so few numbers do not tell a model from one that is nearly it.
COARSE = "q2-k.gguf"
FILES = [f for f in sorted(json.loads((MADE / "expected.json").read_text())) if f != COARSE]
PARENTS = [str(MADE / f"{name}.safetensors") for name in "AOB"]


def audit(file: str, *parents: str) -> api.AuditResult:
    return api.audit(str(MADE / file), parents=parents, digests=False, workers=1)


# One of each way of reading; the others are read by the same code.
QUICK = (
    "gptq-4-reordered.safetensors",
    "awq-4.safetensors",
    "nf4-nested.safetensors",
    "q4-k.gguf",
    "nbits-4.onnx",
)


@pytest.mark.parametrize(
    "file", [f if f in QUICK else pytest.param(f, marks=pytest.mark.slow) for f in FILES]
)
def test_every_code_is_the_quantised_models_and_many_are_not_its_relatives(file: str) -> None:
    result = audit(file, *PARENTS)
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("quantized-copy", "supported")
    assert [p.name for p in verdict.parents] == ["A.safetensors"]
    found = result.evidence.quantized
    assert isinstance(found, Quantized)
    assert len(found.tensors) == 2
    assert not found.unknown
    for tensor in found.tensors:
        assert tensor.matches[0] == tensor.codes == 16384
        assert max(tensor.matches[1:]) < 0.99 * tensor.codes


@pytest.mark.parametrize(
    "file",
    [
        f if f in ("q4-k.gguf", "nf4.safetensors") else pytest.param(f, marks=pytest.mark.slow)
        for f in FILES
    ],
)
def test_relatives_alone_are_neither_quantised_nor_merged_into_it(file: str) -> None:
    verdict = audit(file, *PARENTS[1:]).report.verdict
    assert (verdict.relation, verdict.status) not in (
        ("quantized-copy", "supported"),
        ("linear-merge", "supported"),
    )


def test_two_bits_of_few_numbers_leave_it_open() -> None:
    result = audit(COARSE, *PARENTS)
    assert result.report.verdict.status == "undetermined"
    assert any("thousandth of a standard" in str(r.why_excluded) for r in result.report.verdict.rivals)
    found = result.evidence.quantized
    assert isinstance(found, Quantized)
    assert all(t.matches[0] == t.codes > max(t.matches[1:]) for t in found.tensors)


def test_scales_of_k_quants_are_said_to_be_taken_as_stored() -> None:
    verdict = audit("q4-k.gguf", *PARENTS).report.verdict
    assert any("scales were taken as stored" in limit for limit in verdict.limits)
