"""A small family with layers, and merges of it by recipes; audited as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage import api
from parentage.records.dtypes import DType
from tests.merging.models import recipe_file, write_model

__all__ = ["LAYERS", "audit", "family", "merge"]

LAYERS = 6
WIDTH = 40
INNER = 56
VOCABULARY = 64
Weights = dict[str, NDArray[np.float32]]


def _base(rng: np.random.Generator) -> Weights:
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, WIDTH)}
    for k in range(LAYERS):
        shapes |= {
            f"model.layers.{k}.self_attn.q_proj.weight": (WIDTH, WIDTH),
            f"model.layers.{k}.mlp.down_proj.weight": (WIDTH, INNER),
            f"model.layers.{k}.input_layernorm.weight": (WIDTH,),
        }
    shapes["model.norm.weight"] = (WIDTH,)
    return {n: rng.normal(0, 0.03, shape).astype(np.float32) for n, shape in shapes.items()}


def family(
    folder: Path, *, apart: float = 0.02, seed: int = 5, dtype: DType = DType.BF16
) -> dict[str, Path]:
    """A base O and models A, B, C of it, ``apart`` of its spread away (from .1 on they point elsewhere)."""
    rng = np.random.default_rng(seed)
    base = _base(rng)
    models = {"O": base}
    for name in "ABC":
        models[name] = {
            n: (v + apart * 0.03 * rng.standard_normal(v.shape)).astype(np.float32) for n, v in base.items()
        }
    return {n: write_model(folder / n, weights, dtype=dtype) for n, weights in models.items()}


def merge(folder: Path, recipe: Mapping[str, Any]) -> Path:
    """What a recipe makes."""
    out = folder / "merge"
    api.merge(recipe_file(folder / "made", recipe), out, api.MergeOptions(workers=1))
    return out


def audit(suspect: Path, models: Mapping[str, Path], parents: str, controls: str = "") -> api.AuditResult:
    """Against models of the family; few elements keep the likelihoods cheap, which are not tested here."""
    return api.audit(
        str(suspect),
        parents=[str(models[n]) for n in parents],
        controls=[str(models[n]) for n in controls],
        sample=256,
        workers=1,
        digests=False,
    )
