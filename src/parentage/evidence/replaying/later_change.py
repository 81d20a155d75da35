"""What lies off a replay: how far, and how likely as a change after the blend was stored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parentage.evidence.blends.mixtures import likelihood_elements
from parentage.evidence.replaying.replays import Operands, Recipe, predict_bits
from parentage.numerics.deciding.revision import (
    MOST_STEPS,
    either_way,
    reach_before,
    step_log_likelihood,
)
from parentage.numerics.likelihoods.likelihood import fit_scale
from parentage.numerics.storage.cells import Cells, rounding_cells
from parentage.numerics.storage.formats import ordinal, round_to, to_float64
from parentage.records.absence import Absent
from parentage.records.evidence import ChangeReach, Comparison, ReplayFit
from parentage.records.weight_sets import SetComparison

__all__ = ["log_likelihood", "measure_reach", "measure_replay_fit", "measure_revision_leads"]

Floats = NDArray[np.float64]
# Ends of cells are compared after a handful of float64 operations.
HAIR = 1 + 1e-6
# Fewer elements than this do not fill a distribution of their own.
LEAST_ALIKE = 100
# Log-likelihood that another distribution, or another explanation, has to win.
ANOTHER_DISTRIBUTION = 3.0
ANOTHER_EXPLANATION = 3.0
# More than the exponents of binary64.
_EXPONENTS = 4_096


def measure_reach(operands: Operands, recipe: Recipe, drift: tuple[float, ...] = ()) -> ChangeReach:
    """Distances of the suspect's cells from the unrounded blend, in the reaches of possible roundings.

    ``drift``: an element also counts as explained where the blend, moved along the parents' differences by
    that much, comes as near: a second blend with the same parents does that.
    """
    cells = operands.cells()
    predicted = predict_bits(operands, recipe)
    off = ~operands.equals(predicted) & operands.informative
    blend = np.tensordot(np.asarray(recipe.weights), operands.parents, axes=1)
    outside = _outside(cells, blend)
    if drift:
        moved = np.tensordot(np.asarray(drift), operands.parents[:-1] - operands.parents[-1], axes=1)
        stored = to_float64(predicted, operands.dtype)
        outside = np.minimum(outside, _outside(cells, stored + moved))
    grid = rounding_cells(operands.bits, operands.dtype)
    step = grid.high - grid.low
    one = _one_rounding(operands, recipe) * HAIR
    # A binary64 cell may be narrower than a difference of doubles can tell: nothing is expected there.
    reached = np.divide(one, step, out=np.full(one.size, np.inf), where=step > 0)
    return ChangeReach(
        elements=int(np.count_nonzero(operands.informative)),
        off=int(np.count_nonzero(off)),
        beyond_arithmetic=int(np.count_nonzero(off & (outside > one + step))),
        beyond_one_rounding=int(np.count_nonzero(off & (outside > one))),
        # An element moved by one step lies anywhere from 0 to 1 step outside.
        expected_beyond=float(np.sum(np.maximum(1.0 - reached[off], 0.0))),
    )


def _outside(cells: Cells, values: Floats) -> Floats:
    return np.maximum(np.maximum(cells.low - values, values - cells.high), 0.0)


def measure_revision_leads(operands: Operands, recipe: Recipe) -> tuple[float, ...]:
    """For each parent: how much likelier is a change by whole grid steps after the blend than one of that
    parent before it? Log-likelihood ratios; 0 where nothing speaks."""
    chosen = likelihood_elements(operands.informative, operands.rows)
    cut = operands.only(chosen)
    offset = ordinal(cut.bits, cut.dtype) - ordinal(predict_bits(cut, recipe), cut.dtype)
    return tuple(_lead(cut, recipe, offset, j) for j in range(len(recipe.parents)))


def _lead(operands: Operands, recipe: Recipe, offset: NDArray[np.int64], parent: int) -> float:
    """After the blend over before it in one parent, of elements whose offsets can be told apart."""
    before = _range(reach_before(recipe.weights[parent]))
    steps = _offsets(operands, recipe, (operands.moved(parent, int(k)) for k in before))
    told = np.flatnonzero(either_way(steps) >= 0)
    if not told.size:
        return 0.0
    cut, steps = operands.only(told), steps[:, told]
    kinds, reach = _of_one_size(cut, recipe, parent), either_way(steps)
    seen = _seen(offset[told], reach)
    far = (seen > reach)[None, :]
    # A blend that is stored lies on its grid, whatever its parents were: what lies off it moved afterwards.
    stored = np.True_ if cut.exact is None else cut.exact
    after = _Explained(_seen(_range(MOST_STEPS)[:, None], reach) == seen, far)
    earlier = _Explained(stored & (_seen(steps, reach) == seen), far)
    alike = stored & _as_the_others(cut, recipe, parent, seen, reach)
    return _by_size(after, kinds) - _with_what_is_shared(earlier, alike, kinds)


def _offsets(operands: Operands, recipe: Recipe, changed: Iterable[Operands]) -> NDArray[np.int64]:
    """Steps by which the blend moves with its parents, a row for each change of these."""
    still = ordinal(predict_bits(operands, recipe), operands.dtype)
    rows = [ordinal(predict_bits(one, recipe), operands.dtype) - still for one in changed]
    return np.array(rows, np.int64).reshape(-1, still.size)


def _as_the_others(
    operands: Operands, recipe: Recipe, parent: int, seen: NDArray[np.int64], reach: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Would a parent that held what all the others hold give what is ``seen``? Not where these differ."""
    others = [k for k in range(len(recipe.parents)) if k != parent]
    if not others:
        return np.zeros(seen.size, dtype=bool)
    one: NDArray[np.bool_] = (operands.parents[others] == operands.parents[others[0]]).all(axis=0)
    moved = _offsets(operands, recipe, [operands.made_equal(parent, others[0])])[0]
    given: NDArray[np.bool_] = _seen(moved, reach) == seen
    return one & given


class _Explained(NamedTuple):
    """What would give what is seen of each element: so many steps [2 m + 1, n], or other causes [k, n]."""

    steps: NDArray[np.bool_]
    others: NDArray[np.bool_]


def _by_size(told: _Explained, kinds: NDArray[np.int64]) -> float:
    """Log-likelihood with one distribution of steps, or with one for each kind of element where that is
    worth it: steps that are whole are of one distribution, what training adds is not."""
    together = step_log_likelihood(*told)
    groups = [kinds == kind for kind in np.unique(kinds)]
    apart = sum(step_log_likelihood(told.steps[:, k], told.others[:, k]) for k in groups)
    return max(together, apart - ANOTHER_DISTRIBUTION * (len(groups) - 1))


def _with_what_is_shared(steps: _Explained, alike: NDArray[np.bool_], kinds: NDArray[np.int64]) -> float:
    """By steps alone, or with elements that a revision had not touched, or had not yet, and in which a
    parent held what the others hold (``alike`` [n]), where that is worth it."""
    shared = steps._replace(others=np.concatenate([alike[None, :], steps.others]))
    return max(_by_size(steps, kinds), _by_size(shared, kinds) - ANOTHER_EXPLANATION)


def _seen(offsets: NDArray[np.int64], reach: NDArray[np.int64]) -> NDArray[np.int64]:
    """Offsets within each element's reach, and one number for all beyond it."""
    return np.where(np.abs(offsets) <= reach, offsets, reach + 1)


def _of_one_size(operands: Operands, recipe: Recipe, parent: int) -> NDArray[np.int64]:
    """Which elements have grid steps of the same size in a parent and in the blend: a number for each;
    those that few others are like share one.

    What training adds is of one size and is rounded to many steps of small numbers and to few of large
    ones, and steps of one size in a parent are of several in the blend: one distribution for all would
    speak for the side on whose grid the sizes happen to agree.
    """
    blend = to_float64(predict_bits(operands, recipe), operands.dtype)
    own, whole = np.frexp(operands.parents[parent])[1], np.frexp(blend)[1]
    pair = own.astype(np.int64) * _EXPONENTS + whole
    _, kinds, counts = np.unique(pair, return_inverse=True, return_counts=True)
    return np.where(counts[kinds] < LEAST_ALIKE, -1, kinds)


def _range(reach: int) -> NDArray[np.int64]:
    return np.arange(-reach, reach + 1)


def _one_rounding(operands: Operands, recipe: Recipe) -> Floats:
    """Half steps of the products and differences that an arithmetic in the suspect's dtype may round,
    or of the coarsest operand where that is more."""
    parents = operands.parents
    rounded = [w * a for w, a in zip(recipe.weights, parents, strict=True)]
    rounded += [a - parents[-1] for a in parents[:-1]]
    half = sum((_step(x, operands) for x in rounded), np.zeros(operands.suspect.size)) / 2
    coarsest = np.maximum(np.abs(parents).max(axis=0), np.abs(operands.suspect))
    return np.maximum(half, _step(coarsest, operands) / 2)


def _step(values: Floats, operands: Operands) -> Floats:
    cells = rounding_cells(round_to(values, operands.dtype), operands.dtype)
    return cells.high - cells.low


def measure_replay_fit(
    operands: Operands, recipe: Recipe, comparison: Comparison | SetComparison | Absent
) -> ReplayFit | Absent:
    """The change around this replay against the free likelihood that was measured on the same elements."""
    if isinstance(comparison, Absent):
        return Absent("no free likelihood was measured here")
    if comparison.merge_dtype != operands.dtype.value:
        return Absent("the likelihoods saw a blend stored in another dtype")
    cut = operands.only(likelihood_elements(operands.informative, operands.rows))
    values, cells = cut.told()
    r = to_float64(predict_bits(cut, recipe), cut.dtype)
    found = fit_scale(values, r, cells.low, cells.high, cut.parents[:-1] - cut.parents[-1])
    return ReplayFit(
        log_likelihood=found.log_likelihood,
        delta_ll=found.log_likelihood - comparison.free_log_likelihood,
        scale=found.scale,
        family=found.family,
        drift=found.drift,
    )


def log_likelihood(operands: Operands, told: tuple[Floats, Cells], recipe: Recipe) -> float:
    """Of a change with a drift around this replay, on all elements given; ``told``: numbers and cells."""
    r = to_float64(predict_bits(operands, recipe), operands.dtype)
    moves = operands.parents[:-1] - operands.parents[-1]
    values, cells = told
    return fit_scale(values, r, cells.low, cells.high, moves).log_likelihood
