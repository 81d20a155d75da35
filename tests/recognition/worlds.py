"""Merges by a method's own rule, and what is no merge, of small families; audited as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.methods.method import Parameters, Profile, Value
from parentage.methods.registry import method
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from parentage.records.recognition import MethodReplay, Recognition
from tests.methods.readers import ArrayReader, merged
from tests.worlds.planted import Model, Weights, stored
from tests.worlds.planted_bases import family_pieces, synthetic_base
from tests.worlds.planted_changes import fine_tune

__all__ = ["Made", "audit", "family", "made", "recognised"]

Numbers = Sequence[Mapping[str, Value]]


@dataclass(frozen=True)
class Made:
    """A recipe: operands by name, in order; ``own``: each and shared numbers of single tensors."""

    method: str
    operands: str
    base: int | None
    each: Numbers = ()
    shared: Mapping[str, Value] = field(default_factory=dict)
    arithmetic: str = "mergekit-0.1.5"
    dtype: DType = DType.BF16
    out: DType = DType.BF16
    seed: int = 0
    own: Mapping[str, tuple[Numbers, Mapping[str, Value]]] = field(default_factory=dict)


def family(
    seed: int,
    *,
    real: bool = False,
    count: int = 3,
    size: int = 6_000,
    apart: Sequence[float] = (0.01, 0.01),
    dtype: DType = DType.BF16,
) -> dict[str, Model]:
    """A base O and fine-tunes A, B … of it, stored as ``dtype``; ``apart``: the size of their changes."""
    rng = np.random.default_rng(seed)
    if real:
        models = family_pieces(rng, count=count, size=size)
    else:
        base = synthetic_base(rng, count=count, size=size)
        models = {"O": base}
        models |= {n: _tuned(rng, base, s) for n, s in zip("ABCDEF", apart, strict=False)}
    return {n: stored(w, dtype) for n, w in models.items()}


def _tuned(rng: np.random.Generator, base: Weights, size: float) -> Weights:
    """A fine-tune; from a tenth on, a model that points elsewhere."""
    if size < 0.1:
        return fine_tune(rng, base, size=size)
    return {n: v + size * np.std(v) * rng.standard_normal(v.shape) for n, v in base.items()}


def made(recipe: Made, models: Mapping[str, Model]) -> Model:
    """The merge, tensor by tensor in a tool's order."""
    rule, found, drawn = method(recipe.method), dict[str, StoredTensor](), 0
    profile = Profile(recipe.arithmetic, recipe.dtype, recipe.out)
    names = list(models[recipe.operands[0]])
    for name in sorted(names):
        tensors = [models[m][name] for m in recipe.operands]
        shape = tensors[0].shape
        values = np.stack([to_float32(t.bits, t.dtype).reshape(shape) for t in tensors])
        reader = ArrayReader(values, tensors[0].dtype, recipe.base)
        each, shared = recipe.own.get(name, (recipe.each, recipe.shared))
        given = Parameters(tuple(each), shared, recipe.seed, drawn)
        found[name] = StoredTensor(recipe.out, shape, merged(rule, reader, given, profile, name))
        drawn += rule.draws(reader, given, profile)
    return {name: found[name] for name in names}


def audit(
    suspect: Model, models: Mapping[str, Model], parents: str, controls: str = "", *, sample: int = 1024
) -> api.AuditResult:
    """The suspect against models of the family. Methods are replayed on whole tensors whatever ``sample``:
    few elements keep the likelihoods cheap, which are not what is tested here."""
    with TemporaryDirectory(prefix="methods-") as folder:
        paths = {n: Path(folder) / f"{n}.safetensors" for n in ("suspect", *parents, *controls)}
        for name, path in paths.items():
            write_safetensors(path, suspect if name == "suspect" else models[name])
        given = [str(paths[n]) for n in parents], [str(paths[n]) for n in controls]
        return api.audit(
            str(paths["suspect"]),
            parents=given[0],
            controls=given[1],
            sample=sample,
            workers=1,
            digests=False,
        )


def recognised(result: api.AuditResult) -> MethodReplay:
    """The suspect's replay."""
    found = result.evidence.recognition
    assert isinstance(found, Recognition), found
    return next(r for r in found.replays if r.subject == 0)
