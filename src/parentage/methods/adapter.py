"""An adapter merged into its base: LoRA and DoRA.

Hu et al., "LoRA", arXiv 2106.09685: W + s B A, with s = alpha / rank (rsLoRA, arXiv 2312.03732: alpha /
sqrt rank). Liu et al., "DoRA", arXiv 2402.09353: rows of that scaled to a learned magnitude. peft computes
B A in float32, one fused multiply-add a rank in order (MKL's sgemm does so up to rank 128 at least: no bit
differs from torch 2.13's), times s, and adds that to the base in float32, rounding once; a "safe"
merge, and an adapter kept in 16 bits, round the change to 16 bits first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from parentage.errors import UsageError
from parentage.methods.blocks import rows_of
from parentage.methods.grids import on_grid, stored
from parentage.methods.method import (
    BASE_REQUIRED,
    Bits,
    Declared,
    Method,
    Parameters,
    Profile,
    Reader,
    Rule,
    Values,
)
from parentage.methods.totals import norm_of
from parentage.numerics.matrices.low_rank import product
from parentage.records.dtypes import DType

__all__ = ["LORA", "Adapted", "array_of"]


@dataclass(frozen=True, slots=True)
class Adapted:
    """A matrix plus ``scaling`` · B A, rows of ``granularity`` elements; chunks are whole rows."""

    a: Values
    b: Values
    magnitude: Values | None
    scaling: np.float32
    rounded: bool
    profile: Profile
    granularity: int

    def apply(self, start: int, values: Values) -> Bits:
        rows = values[0].reshape(-1, self.granularity)
        first = start // self.granularity
        here = slice(first, first + rows.shape[0])
        base = rows if self.profile.ours else on_grid(rows, self.profile.dtype)
        with np.errstate(all="ignore"):
            changed = base + self._change(self.b[here])
            if self.magnitude is not None:
                changed = self._scaled(changed, self.magnitude[here])
        if not self.profile.ours:
            changed = on_grid(changed, self.profile.dtype)
        return stored(changed, self.profile.out)

    def _change(self, b: Values) -> Values:
        change = product(b, self.a, fused=not self.profile.ours) * self.scaling
        return on_grid(change, self.profile.dtype) if self.rounded else change

    def _scaled(self, changed: Values, magnitude: Values) -> Values:
        """Rows brought to their learned length."""
        norms = np.empty(changed.shape[0], np.float32)
        for i, row in enumerate(changed):
            norm = norm_of(self.profile, DType.F32)
            norm.add(row)
            norms[i] = norm.result()
        return (magnitude / norms)[:, None] * changed


def array_of(parameters: Parameters, key: str, shape: tuple[int, ...], name: str) -> Values:
    """A finite array of this shape (-1: any length); raises ``UsageError`` (``array-bad``)."""
    found = parameters.arrays.get(key)
    fits = (
        found is not None
        and found.ndim == len(shape)
        and all(want in (-1, have) for want, have in zip(shape, found.shape, strict=True))
        and bool(np.all(np.isfinite(found)))
    )
    if found is None or not fits:
        got = "missing" if found is None else f"of shape {found.shape}"
        raise UsageError(
            f"{key} is {got}, or holds what is not a number; wanted is {shape}",
            code="array-bad",
            where=name,
        )
    return np.ascontiguousarray(found, np.float32)


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    if len(reader.shape) != 2:
        raise UsageError("an adapter changes matrices only", code="array-bad", where=name)
    out, columns = reader.shape
    a = array_of(parameters, "A", (-1, columns), name)
    b = array_of(parameters, "B", (out, a.shape[0]), name)
    magnitude = (
        array_of(parameters, "magnitude", (out,), name) if "magnitude" in parameters.arrays else None
    )
    scaling = np.float32(parameters.shared["scaling"])
    rounded = bool(parameters.shared["rounded"])
    return Adapted(a, b, magnitude, scaling, rounded, profile, max(1, rows_of(reader.shape)))


LORA: Final[Method] = Method(
    id="lora",
    relation="adapter-fine-tune",
    about="an adapter (LoRA, DoRA) merged into its base",
    paper="https://arxiv.org/abs/2106.09685",
    rule=_prepare,
    parameters=(
        Declared("scaling", "what the product of the factors is multiplied by", default=1.0),
        Declared("rounded", "round the change to the base's dtype first", kind="switch", default=False),
    ),
    base=BASE_REQUIRED,
    models=(1, 1),
    profiles=("parentage-1", "peft"),
)
