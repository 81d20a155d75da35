"""Merges by a method's own rule, and what is no merge, of small families; audited as files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.methods.method import Parameters, Profile, Value
from parentage.methods.registry import method
from parentage.numerics.formats import to_float32
from parentage.records.dtypes import DType
from parentage.records.recognition import MethodReplay, Recognition
from tests.methods.readers import ArrayReader, merged
from tests.worlds.planted import Model, Truth, World, audited, stored
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
) -> dict[str, Model]:
    """A base O and fine-tunes A, B … of it in bfloat16; ``apart``: the size of their changes."""
    rng = np.random.default_rng(seed)
    if real:
        models = family_pieces(rng, count=count, size=size)
    else:
        base = synthetic_base(rng, count=count, size=size)
        models = {"O": base}
        models |= {n: fine_tune(rng, base, size=s) for n, s in zip("ABCDEF", apart, strict=False)}
    return {n: stored(w, DType.BF16) for n, w in models.items()}


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


def audit(suspect: Model, models: Mapping[str, Model], parents: str, controls: str = "") -> api.AuditResult:
    """The suspect against models of the family."""
    named, rest = (tuple((n, models[n]) for n in names) for names in (parents, controls))
    return audited(World(suspect, named, rest, Truth("recognition", "", 0, False)))


def recognised(result: api.AuditResult) -> MethodReplay:
    """The suspect's replay."""
    found = result.evidence.recognition
    assert isinstance(found, Recognition), found
    return next(r for r in found.replays if r.subject == 0)
