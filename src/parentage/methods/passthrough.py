"""Passthrough: a tensor taken over from one model, as it is or times a factor.

Frankenmerges and layer stacks are made of it: which layer comes from where is the recipe's, not the rule's.
mergekit casts to the recipe's dtype, multiplies by ``scale`` where it is given, and rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from parentage.methods.algebra import Algebra
from parentage.methods.grids import stored
from parentage.methods.method import Bits, Declared, Method, Parameters, Profile, Reader, Rule, Values

__all__ = ["PASSTHROUGH"]


@dataclass(frozen=True, slots=True)
class _Copy:
    scale: np.float32
    algebra: Algebra
    granularity: int = 1

    def apply(self, start: int, values: Values) -> Bits:
        x = self.algebra.q(values[0])
        return stored(x if self.scale == 1 else self.algebra.mul(x, self.scale), self.algebra.profile.out)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    return _Copy(np.float32(parameters.per_model[0]["scale"]), Algebra.of(profile))


PASSTHROUGH: Final[Method] = Method(
    id="passthrough",
    relation="passthrough-merge",
    about="one model's tensor, as it is or scaled",
    paper="https://github.com/arcee-ai/mergekit/blob/main/docs/merge_methods.md",
    rule=_prepare,
    parameters=(Declared("scale", "what the tensor is multiplied by", per_model=True, default=1.0),),
    models=(1, 1),
    profiles=("parentage-1", "mergekit-0.1.5", "mergekit-0.1.4"),
)
