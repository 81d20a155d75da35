"""Made-up models of named directions over one base: their evidence, without an audit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from parentage.records.absence import Absent
from parentage.records.evidence import Coverage, Evidence, ModelPin, ModelRole
from tests.verdicts.test_forks import COLUMNS, ROWS, Floats, tensor_of

__all__ = ["MATRICES", "evidence_of", "rooted", "slight"]

MATRICES = 8


def evidence_of(steps: dict[str, dict[str, float]], controls: tuple[str, ...] = ()) -> Evidence:
    """Models by name, the suspect first; each the sum of named directions, of these lengths over the norm
    of the weights, from one base. A direction is one for all models that have it."""
    rng = np.random.default_rng(17)
    found = []
    for k in range(MATRICES):
        base = rng.normal(size=ROWS * COLUMNS)
        names = sorted({d for lengths in steps.values() for d in lengths})
        directions = {d: rng.normal(size=base.size) for d in names}
        made: list[Floats] = [
            base + sum((s * directions[d] for d, s in lengths.items()), np.zeros_like(base))
            for lengths in steps.values()
        ]
        found.append(tensor_of(f"layers.0.{k}.weight", made[0], made[1:]))
    roles = {n: ModelRole.CONTROL if n in controls else ModelRole.PARENT for n in steps}
    pins = tuple(
        ModelPin(n, ModelRole.SUSPECT if not i else roles[n], n, Absent("local"), ())
        for i, n in enumerate(steps)
    )
    coverage = Coverage(len(found), len(found), 0, 0, 0, ())
    return Evidence({}, {}, {}, pins, coverage, (), tuple(found), (), (), ())


def slight(lean: float) -> Evidence:
    """A slight fine-tune that leans by this cosine towards a fine-tune 25 times as far from the base."""
    own = 1e-3
    return evidence_of(
        {
            "suspect": {"own": own * (1 - lean**2) ** 0.5, "far": own * lean},
            "base": {},
            "nex": {"far": 25 * own},
        }
    )


def rooted(evidence: Evidence, root: str, finer: bool = False) -> Evidence:
    """The same where a model is known to be what the others were made from; all are stored alike, or that
    one in a format ``finer`` than the suspect's, whose change is then its rounding."""
    index = next(i for i, m in enumerate(evidence.models) if m.name == root)
    tensors = []
    for tensor in evidence.tensors:
        own = tensor.gram[index - 1][index - 1] if finer else 1e-12
        steps = [own] * len(evidence.models)
        steps[index] = 0.0 if finer else own
        tensors.append(replace(tensor, rounding=tuple(steps)))
    return replace(evidence, tensors=tuple(tensors), used={"root": index})
