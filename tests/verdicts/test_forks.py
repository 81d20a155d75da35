"""A parent sits where the suspect and a third model part, in every matrix where there are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from parentage.records.absence import Absent
from parentage.records.evidence import Coverage, Evidence, ModelPin, ModelRole, TensorEvidence
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.ancestors import weigh_shared_ancestor
from parentage.verdicts.relations.neighbours import origin_radius, weigh_fine_tune
from parentage.verdicts.weighing import Status

ROWS, COLUMNS = 200, 300
Floats = NDArray[np.float64]


def tensor_of(name: str, suspect: Floats, models: list[Floats]) -> TensorEvidence:
    deltas = np.stack([m - suspect for m in models])
    n = suspect.size
    return TensorEvidence(
        name=name,
        role="attention.query",
        component="attention",
        layer=0,
        shape=(ROWS, COLUMNS),
        dtypes=("F32",) * (len(models) + 1),
        effective_dtypes=("F32",) * (len(models) + 1),
        elements=n,
        examined=n,
        finite=n,
        spread=float(suspect.std()),
        whole=True,
        present=tuple(range(1, len(models) + 1)),
        equal=(0,) * len(models),
        cast_equal=(0,) * len(models),
        correlation=tuple(float(np.corrcoef(m, suspect)[0, 1]) for m in models),
        parents_all_equal=0,
        gram=tuple(tuple(float(x) for x in row) for row in deltas @ deltas.T),
        mixtures=(),
        weights=(),
        spectra=(),
        permutation_z=Absent("not measured"),
        square=float((suspect**2).sum()),
    )


def _readings(matrices: int, moved: int, by: float, suspect: float = 0.01, usual: float = 1e-4) -> Readings:
    """A base that was not given; ``first`` is ``usual`` away from it, in ``moved`` matrices ``by``
    (over the norm of the weights); suspect and second are fine-tunes of the base."""
    rng = np.random.default_rng(matrices)
    found = []
    for k in range(matrices):
        base = rng.normal(size=ROWS * COLUMNS)
        step = {n: rng.normal(size=base.size) for n in ("first", "second", "suspect")}
        first = base + (by if k < moved else usual) * step["first"]
        models = [first, base + 0.03 * step["second"]]
        found.append(tensor_of(f"layers.0.{k}.weight", base + suspect * step["suspect"], models))
    roles = (ModelRole.SUSPECT, ModelRole.PARENT, ModelRole.PARENT)
    pins = tuple(
        ModelPin(name=n, role=r, locator=n, revision=Absent("local"), shards=())
        for n, r in zip(("suspect", "first", "second"), roles, strict=True)
    )
    coverage = Coverage(len(found), len(found), 0, 0, 0, ())
    evidence = Evidence({}, {}, {}, pins, coverage, (), tuple(found), (), (), ())
    return Readings(evidence)


def test_the_base_of_every_matrix_is_the_parent() -> None:
    weighing = weigh_fine_tune(_readings(3, 0, 0.0))
    assert weighing is not None
    assert (weighing.status, weighing.models) == (Status.SUPPORTED, (1,))


def test_one_of_three_matrices_that_lies_elsewhere_makes_a_parent_undetermined() -> None:
    """A model that hardly left the base passes for it in two matrices of three, by luck."""
    weighing = weigh_fine_tune(_readings(3, 1, 0.005))
    assert weighing is None or weighing.status is not Status.SUPPORTED


def test_among_many_matrices_one_may_lie_elsewhere_and_the_distance_says_so() -> None:
    readings, pure = _readings(12, 2, 0.008), _readings(12, 0, 0.0)
    weighing = weigh_fine_tune(readings)
    assert weighing is not None
    assert weighing.status is Status.SUPPORTED
    assert origin_radius(readings, 1) >= 0.008 * np.sqrt(2 / 12) * 0.97
    assert origin_radius(pure, 1) < 0.002


def test_a_suspect_at_the_fork_of_two_fine_tunes_is_their_ancestor() -> None:
    readings = _readings(8, 0, 0.0, suspect=0.0, usual=0.02)
    weighing = weigh_shared_ancestor(readings)
    assert weighing is not None
    assert (weighing.status, weighing.models) == (Status.SUPPORTED, (1, 2))
    assert "fine-tune" in {relation for relation, _ in weighing.live}


def test_of_three_matrices_one_in_which_it_moved_leaves_the_ancestor_open() -> None:
    base = _readings(3, 0, 0.0, suspect=0.0, usual=0.02)
    moved = _readings(3, 0, 0.0, suspect=0.015, usual=0.02)
    tensors = (*base.evidence.tensors[:2], moved.evidence.tensors[2])
    weighing = weigh_shared_ancestor(Readings(replace(base.evidence, tensors=tensors)))
    assert weighing is None or weighing.status is not Status.SUPPORTED


def _with_rounding(readings: Readings, share: float, apart: float) -> Readings:
    """The same, as if ``first`` had been rounded by this share of its squared distance to the second."""
    rounding = share * apart**2 * ROWS * COLUMNS
    tensors = (replace(t, rounding=(0.0, rounding, 0.0)) for t in readings.evidence.tensors)
    return Readings(replace(readings.evidence, tensors=tuple(tensors)))


def test_a_base_that_was_trained_from_as_stored_is_at_the_fork_though_its_rounding_is_large() -> None:
    """Taken off, it would put the base a quarter of the shorter way inside the line of its children."""
    readings = _with_rounding(_readings(8, 0, 0.0, suspect=0.05), 0.25, 0.03)
    triangle = readings.triangle(1, 2)
    assert triangle is not None
    assert triangle.first.least < -0.2
    weighing = weigh_fine_tune(readings)
    assert weighing is not None
    assert (weighing.status, weighing.models) == (Status.SUPPORTED, (1,))


def test_a_model_that_left_the_fork_in_half_of_the_matrices_is_no_parent_whatever_its_rounding() -> None:
    readings = _with_rounding(_readings(8, 4, 0.02, suspect=0.05), 0.1, 0.03)
    weighing = weigh_fine_tune(readings)
    assert weighing is None or weighing.status is not Status.SUPPORTED
