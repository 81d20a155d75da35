"""When a component's question counts as answered; from literals."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from parentage.evidence.sampling.stopping import OPEN, component_reading, needed_for
from parentage.numerics.deciding.predictive import LogEvidence
from parentage.records.absence import Absent
from parentage.records.evidence import Comparison, Mixture, TensorEvidence
from parentage.records.reading import ComponentReading

NONE = Absent("not measured")
NEEDED = needed_for(3, 1)


def comparison(**changed: object) -> Comparison:
    plain = Comparison(
        elements=4096, alpha=0.6, alpha_low=0.598, alpha_high=0.602, drift=0.0, scale=1e-5,
        family="gaussian", log_likelihood=-1.0, free_alpha=0.6, free_scale=1e-5,
        free_log_likelihood=-2.0, delta_ll=1.0, drop_at_zero=9.0, drop_at_one=9.0,
        residual_correlation=0.0, off_replay=3, off_replay_elements=4096, merge_dtype="BF16",
        coarse_step=1e-4, lattice_lead=NONE,
    )  # fmt: skip
    return replace(plain, **changed)  # type: ignore[arg-type]


def mixture(compared: Comparison | Absent, consistency: float = 0.9) -> Mixture:
    return Mixture(
        subject=0, first=1, second=2, cast="as-stored", informative=3000, equal=10, equal_agree=10,
        low=0.599, high=0.601, count=2900, consistency=consistency, alpha_zero_share=0.1,
        alpha_one_share=0.1, fold_alpha=NONE, fold_consistency=NONE, least_squares=NONE, cosine=NONE,
        comparison=compared,
    )  # fmt: skip


def tensor(name: str, *mixtures: Mixture, **changed: object) -> TensorEvidence:
    plain = TensorEvidence(
        name=name, role="mlp.up", component="mlp", layer=0, shape=(512, 512), dtypes=("BF16",) * 3,
        effective_dtypes=("BF16",) * 3, elements=512 * 512, examined=4096, finite=4096, spread=0.02,
        whole=False, present=(0, 1, 2), equal=(1000, 900), cast_equal=(1000, 900),
        correlation=(0.99, 0.99), parents_all_equal=0, gram=((1.0, 0.0), (0.0, 1.0)), mixtures=mixtures,
        weights=(), spectra=(), permutation_z=NONE, square=1.0,
    )  # fmt: skip
    return replace(plain, **changed)  # type: ignore[arg-type]


def read(tensors: list[TensorEvidence], *evidence: LogEvidence) -> ComponentReading:
    totals = {t.name: e for t, e in zip(tensors, evidence, strict=False)}
    return component_reading("mlp", 1, tensors, totals, NEEDED)


def several(count: int = 4, **changed: object) -> list[TensorEvidence]:
    return [tensor(f"w{k}", mixture(comparison()), **changed) for k in range(count)]


def test_the_level_is_shared_among_components_pairs_and_answers() -> None:
    assert math.exp(-NEEDED) * 3 * 4 == pytest.approx(0.05)
    assert needed_for(3, 6) == pytest.approx(NEEDED + math.log(6))


def test_a_blend_of_known_weight_is_an_answer() -> None:
    found = read(several(), *[LogEvidence(for_blend=40.0)] * 4)
    assert found.outcome == "blend"
    assert found.pair == (1, 2)
    assert not isinstance(found.weight, Absent)
    assert found.weight.low < 0.6 < found.weight.high


def test_a_blend_of_unknown_weight_is_read_further() -> None:
    wide = [tensor(f"w{k}", mixture(comparison(alpha_low=0.4, alpha_high=0.8))) for k in range(4)]
    assert read(wide, *[LogEvidence(for_blend=40.0)] * 4).outcome == OPEN
    seen = [replace(t, mixtures=(replace(t.mixtures[0], informative=9000),)) for t in wide]
    found = read(seen, *[LogEvidence(for_blend=40.0)] * 4)
    assert (found.outcome, found.reason[-8:]) == ("blend", "e weight")
    none = [tensor(f"w{k}", mixture(comparison(alpha_low=NONE, alpha_high=NONE))) for k in range(4)]
    assert read(none, *[LogEvidence(for_blend=40.0)] * 4).outcome == OPEN


def test_fewer_than_half_are_no_answer() -> None:
    sure, unsure = LogEvidence(for_blend=400.0), LogEvidence()
    assert read(several(), sure, unsure, unsure, unsure).outcome == OPEN
    assert read(several(), sure, sure, sure, unsure).outcome == "blend"


@pytest.mark.parametrize(("field", "outcome"), [("for_free", "never-stored"), ("for_one", "one-parent")])
def test_no_blend_is_an_answer_too(field: str, outcome: str) -> None:
    assert read(several(), *[LogEvidence(**{field: NEEDED + 3})] * 4).outcome == outcome
    assert read(several(), *[LogEvidence(**{field: NEEDED - 3})] * 4).outcome == OPEN


def test_an_exact_blend_needs_evidence_against_a_change_of_one_parent() -> None:
    exact = [tensor(f"w{k}", mixture(NONE, 1.0)) for k in range(4)]
    found = read(exact, *[LogEvidence(against_one=30.0)] * 4)
    assert (found.outcome, found.exact) == ("blend", 4)
    assert not isinstance(found.weight, Absent)
    assert (found.weight.low, found.weight.high, found.weight.level) == (0.599, 0.601, 1.0)
    assert read(exact, *[LogEvidence(against_one=1.0)] * 4).outcome == OPEN
    # Not where elements in which the parents agree were changed.
    touched = [replace(t, mixtures=(replace(t.mixtures[0], equal_agree=9),)) for t in exact]
    assert read(touched, *[LogEvidence(against_one=30.0)] * 4).outcome == OPEN


def test_a_change_of_several_grid_steps_ends_the_search() -> None:
    blurred = [tensor(f"w{k}", mixture(comparison(scale=2e-4))) for k in range(4)]
    assert read(blurred, *[LogEvidence()] * 4).outcome == "no-grid"


def test_what_needs_no_test_is_told_without_one() -> None:
    assert read(several(whole=True)).outcome == "read-whole"
    assert read(several(equal=(4096, 900))).outcome == "copy"
    assert read(several(cast_equal=(1000, 4096))).outcome == "copy"
    assert read([tensor("w")]).outcome == "no-pair"
    few = [tensor("w", replace(mixture(comparison()), informative=20))]
    assert read(few).outcome == OPEN
    strangers = several(correlation=(0.02, -0.01))
    assert read(strangers, *[LogEvidence()] * 4).outcome == "unrelated"
