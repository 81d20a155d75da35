"""What happens to weights: fine-tunes before a merge, and changes after it was stored."""

from __future__ import annotations

import numpy as np

from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType
from tests.worlds.planted import Floats, Model, Weights, matrices, values_of

__all__ = [
    "CHANGES",
    "change_after",
    "change_and_size",
    "fine_tune",
    "moved_by_steps",
    "off_share",
    "relative_size",
    "sibling_tunes",
    "unit_delta",
]

# A fine-tune moves weights by .1 to 3 % of their norm.
SMALLEST, LARGEST = 1e-3, 3e-2
CHANGES = (
    "dense",
    "t3",
    "rows",
    "low-rank",
    "sparse-1",
    "sparse-10",
    "sparse-48",
    "one-layer",
)


def relative_size(rng: np.random.Generator) -> float:
    """A fine-tune's delta over the weights' norm."""
    return float(np.exp(rng.uniform(np.log(SMALLEST), np.log(LARGEST))))


def unit_delta(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """A direction of root-mean-square 1: part dense, part low-rank, rows of heavy-tailed sizes."""
    delta = rng.normal(size=shape)
    if len(shape) == 2:
        rank = int(rng.integers(2, 13))
        low = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1])) / np.sqrt(rank)
        share = rng.uniform(0.0, 0.7)
        delta = np.sqrt(1.0 - share) * delta + np.sqrt(share) * low
        delta *= np.abs(rng.standard_t(4, size=(shape[0], 1))) + 0.2
    return delta / np.sqrt(np.mean(delta**2))


def fine_tune(
    rng: np.random.Generator, base: Weights, *, size: float | None = None, direction: Weights | None = None
) -> Weights:
    """The base moved by ``size`` of its norm (drawn when None), different by tensor, not yet stored.

    ``direction``: unit deltas by tensor; drawn when None. In some models a part of the embedding's
    rows stays where it was.
    """
    overall = relative_size(rng) if size is None else size
    untouched = rng.random() < 0.3
    tuned = {}
    for name, value in base.items():
        unit = unit_delta(rng, value.shape) if direction is None else direction[name]
        relative = float(np.clip(overall * rng.lognormal(0.0, 0.4), SMALLEST, LARGEST))
        delta = unit * relative * np.sqrt(np.mean(value**2))
        if value.ndim == 1:
            delta *= 0.3
        if untouched and "embed" in name and value.ndim == 2:
            delta[rng.random(value.shape[0]) < 0.5] = 0.0
        tuned[name] = value + delta
    return tuned


def sibling_tunes(rng: np.random.Generator, base: Weights, count: int, cosine: float) -> list[Weights]:
    """Fine-tunes whose deltas share a direction: any two have this cosine in every tensor."""
    shared = {n: unit_delta(rng, v.shape) for n, v in base.items()}
    size = relative_size(rng)
    tunes = []
    for _ in range(count):
        own = {n: unit_delta(rng, v.shape) for n, v in base.items()}
        mixed = {n: np.sqrt(cosine) * shared[n] + np.sqrt(1.0 - cosine) * own[n] for n in base}
        tunes.append(fine_tune(rng, base, size=size * rng.lognormal(0.0, 0.2), direction=mixed))
    return tunes


def change_after(rng: np.random.Generator, merge: Model, kind: str, sigma: float) -> Model:
    """A stored model after a change of one kind, stored again.

    ``sigma``: the change's standard deviation over that of each tensor's weights (t3: its scale);
    of no account for ``sparse-N``, which moves N % of the elements by one to three grid steps.
    """
    return change_and_size(rng, merge, kind, sigma)[0]


def change_and_size(
    rng: np.random.Generator, merge: Model, kind: str, sigma: float
) -> tuple[Model, float | None]:
    """As :func:`change_after`, with the root mean square of what was added, over the spread of the weights:
    the median over the matrices that were changed, as drawn and before it was rounded; None for steps.

    Not ``sigma`` itself: a t3 or rows of their own scales have a larger root mean square, and few numbers
    another one than their distribution.
    """
    if kind.startswith("sparse-"):
        return moved_by_steps(rng, merge, float(kind.removeprefix("sparse-")) / 100.0), None
    only = str(rng.choice(matrices(merge))) if kind == "one-layer" else ""
    dtype = next(iter(merge.values())).dtype
    after, sizes = dict(merge), []
    for name, value in values_of(merge).items():
        if only and name != only:
            continue
        noise = _noise(rng, kind, value.shape) * sigma * float(np.std(value))
        after[name] = StoredTensor(dtype, value.shape, round_to((value + noise).ravel(), dtype))
        if value.ndim == 2:
            sizes.append(float(np.sqrt(np.mean(noise**2)) / np.std(value)))
    return after, float(np.median(sizes))


def _noise(rng: np.random.Generator, kind: str, shape: tuple[int, ...]) -> Floats:
    if kind == "t3":
        return rng.standard_t(3, size=shape)
    if kind == "rows" and len(shape) == 2:
        return rng.normal(size=shape) * rng.lognormal(0.0, 0.7, size=(shape[0], 1))
    if kind == "low-rank" and len(shape) == 2:
        return rng.normal(size=(shape[0], 4)) @ rng.normal(size=(4, shape[1])) / 2.0
    return rng.normal(size=shape)


def moved_by_steps(rng: np.random.Generator, model: Model, share: float) -> Model:
    """A share of the elements moved by one to three steps of the 16-bit grid, either way."""
    moved = {}
    for name, tensor in model.items():
        if tensor.dtype not in (DType.BF16, DType.F16):
            raise ValueError(f"{tensor.dtype}: the grid of 16-bit numbers is meant")
        size = (tensor.bits & np.uint16(0x7FFF)).astype(np.int64)
        steps = rng.integers(1, 4, size.size) * rng.choice([-1, 1], size.size)
        # Next to zero a step would change the sign, far out it would overflow.
        chosen = (rng.random(size.size) < share) & (size > 4) & (size < 0x7B00)
        sign = tensor.bits & np.uint16(0x8000)
        bits = sign | np.where(chosen, size + steps, size).astype(np.uint16)
        moved[name] = StoredTensor(tensor.dtype, tensor.shape, bits)
    return moved


def off_share(merge: Model, after: Model, first: Model, second: Model) -> float:
    """Share of elements that no longer equal the stored merge, where two parents differ."""
    off = total = 0
    for name, tensor in merge.items():
        differ = values_of({name: first[name]})[name] != values_of({name: second[name]})[name]
        changed = to_float64(tensor.bits, tensor.dtype) != to_float64(after[name].bits, after[name].dtype)
        off += int(np.count_nonzero(changed & differ.ravel()))
        total += int(np.count_nonzero(differ))
    return off / total if total else 0.0
