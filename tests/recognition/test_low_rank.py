"""Adapters and taken-out directions are told from fine-tunes, and from each other, by what is left over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage.api import AuditResult
from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType
from parentage.records.recognition import Recognition
from tests.recognition.worlds import audit
from tests.worlds.fixtures import FOLDER
from tests.worlds.planted import Model

Weights = dict[str, NDArray[np.float64]]
HIDDEN, INNER, LAYERS = 96, 144, 3
WRITES = ("self_attn.o_proj", "mlp.down_proj")


def weights(seed: int) -> Weights:
    """A small decoder's matrices and norms."""
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (200, HIDDEN)}
    for k in range(LAYERS):
        shapes |= {
            f"model.layers.{k}.self_attn.q_proj.weight": (HIDDEN, HIDDEN),
            f"model.layers.{k}.self_attn.o_proj.weight": (HIDDEN, HIDDEN),
            f"model.layers.{k}.mlp.up_proj.weight": (INNER, HIDDEN),
            f"model.layers.{k}.mlp.down_proj.weight": (HIDDEN, INNER),
            f"model.layers.{k}.input_layernorm.weight": (HIDDEN,),
        }
    made = {name: rng.normal(0, 0.03, shape) for name, shape in shapes.items()}
    return made | {n: 1 + 0.1 * w for n, w in made.items() if "norm" in n}


def stored(model: Weights, dtype: DType = DType.BF16) -> Model:
    return {n: StoredTensor(dtype, w.shape, round_to(w.reshape(-1), dtype)) for n, w in model.items()}


def read(model: Model) -> Weights:
    return {n: to_float64(t.bits, t.dtype).reshape(t.shape) for n, t in model.items()}


def adapted(base: Model, seed: int, *, rank: int, size: float, only: str = "proj") -> Model:
    """Products of thin factors, of ``size`` relative to the weights, in matrices whose name holds ``only``;
    rounded once to the base's dtype."""
    rng, made = np.random.default_rng(seed), read(base)
    for name, w in made.items():
        if only in name and w.ndim == 2:
            change = rng.normal(0, 1, (w.shape[0], rank)) @ rng.normal(0, 1, (rank, w.shape[1]))
            made[name] = w + change * (size * w.std() / change.std())
    return stored(made, next(iter(base.values())).dtype)


def tuned(base: Model, seed: int, *, size: float, only: str = "", decay: float = 0.6) -> Model:
    """A fine-tune of full rank whose singular values fall like those of real ones (stable rank 3 to 15)."""
    rng, made = np.random.default_rng(seed), read(base)
    for name, w in made.items():
        if only not in name:
            continue
        change = rng.normal(0, 1, w.shape)
        if w.ndim == 2:
            u, s, v = np.linalg.svd(change, full_matrices=False)
            change = (u * (np.arange(1, s.size + 1.0) ** -decay)) @ v
        made[name] = w + change * (size * w.std() / change.std())
    return stored(made, next(iter(base.values())).dtype)


def abliterated(base: Model, seed: int, strength: float = 1.0) -> Model:
    """The published formula in the weights' own format: W - r (r^T W), each product and sum rounded."""
    rng, made = np.random.default_rng(seed), read(base)
    dtype = next(iter(base.values())).dtype

    def kept(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return to_float64(round_to(np.ascontiguousarray(x).reshape(-1), dtype), dtype).reshape(x.shape)

    r = rng.normal(0, 1, HIDDEN)
    r = kept(r / np.linalg.norm(r))
    for name, w in made.items():
        if any(part in name for part in WRITES):
            made[name] = w - kept(strength * kept(np.outer(r, kept(r @ w))))
        elif "embed" in name:
            made[name] = w - kept(strength * kept(np.outer(kept(w @ r), r)))
    return stored(made, dtype)


def told(result: AuditResult) -> tuple[str, str]:
    return result.report.verdict.relation, str(result.report.verdict.status)


def rows(result: AuditResult) -> list[Mapping[str, Any]]:
    found = result.evidence.recognition
    assert isinstance(found, Recognition), found
    return [row for f in found.findings if f.kind == "low-rank" for row in f.measures["rows"]]


@pytest.mark.parametrize(
    ("rank", "size", "dtype"),
    [
        (2, 0.02, DType.BF16),
        (8, 0.05, DType.F32),
        pytest.param(8, 0.05, DType.BF16, marks=pytest.mark.slow),
        pytest.param(2, 0.02, DType.F32, marks=pytest.mark.slow),
    ],
)
def test_an_adapter_merged_into_its_base_is_named_with_its_rank(
    rank: int, size: float, dtype: DType
) -> None:
    base = stored(weights(1), dtype)
    suspect = adapted(base, 2, rank=rank, size=size)
    result = audit(suspect, {"O": base}, "O")
    assert told(result) == ("adapter-fine-tune", "supported")
    assert {row["rank"] for row in rows(result)} == {rank}
    assert f"rank {rank} in 12 matrices" in result.report.verdict.sentence


@pytest.mark.parametrize(
    ("kind", "rank"),
    [("lora", {4, 9}), ("embedding", {5}), pytest.param("dora", {3, 4, 5}, marks=pytest.mark.slow)],
)
def test_adapters_that_peft_merged_are_named(kind: str, rank: set[int]) -> None:
    base = of("mergekit/O")
    result = audit(by_peft(kind), {"O": base}, "O")
    assert told(result) == ("adapter-fine-tune", "supported")
    assert {row["rank"] for row in rows(result)} <= rank
    assert all(row["scaled"] is (kind == "dora") for row in rows(result))


def test_one_small_matrix_shows_an_adapter_but_not_over_whom() -> None:
    result = audit(by_peft("rslora"), {"O": of("mergekit/O")}, "O")
    assert {row["rank"] for row in rows(result)} == {24}
    assert told(result)[1] == "undetermined"
    assert "adapter-fine-tune" in {r.relation for r in result.report.verdict.rivals}
    sentence = result.report.verdict.sentence
    assert "the change is of rank 24 in 1 of 1 matrices looked at, as an adapter or a fine-tune" in sentence


def by_peft(kind: str) -> Model:
    changed = of("adapters/merged")
    own = {n.removeprefix(f"{kind}/"): t for n, t in changed.items() if n.startswith(f"{kind}/")}
    return of("mergekit/O") | own


def of(path: str) -> Model:
    with open_checkpoint(FOLDER / f"{path}.safetensors") as found:
        return {
            n: StoredTensor(t.dtype, t.shape, found.read(t, 0, t.elements))
            for n, t in found.tensors.items()
        }


def test_a_base_is_no_adapter_over_what_was_made_from_it() -> None:
    base = stored(weights(1))
    suspect = adapted(base, 2, rank=4, size=0.05)
    result = audit(base, {"S": suspect}, "S")
    assert told(result)[1] == "undetermined"
    assert any("it was made from the suspect" in str(r.why_excluded) for r in result.report.verdict.rivals)


def test_two_adapters_over_one_base_are_not_said_to_be_one_over_the_other() -> None:
    base = stored(weights(1))
    one, other = (adapted(base, k, rank=4, size=0.05) for k in (2, 3))
    assert told(audit(one, {"T": other}, "T"))[1] == "undetermined"
    apart = adapted(base, 2, rank=4, size=0.05, only="up_proj")
    beside = adapted(base, 3, rank=4, size=0.05, only="down_proj")
    assert told(audit(apart, {"T": beside}, "T"))[1] == "undetermined"
    assert told(audit(one, {"T": other, "O": base}, "TO")) == ("adapter-fine-tune", "supported")


@pytest.mark.parametrize("dtype", [DType.BF16, pytest.param(DType.F32, marks=pytest.mark.slow)])
@pytest.mark.parametrize("only", ["", pytest.param("layers.1", marks=pytest.mark.slow), "o_proj"])
def test_a_full_fine_tune_of_low_stable_rank_is_no_adapter(only: str, dtype: DType) -> None:
    base = stored(weights(4), dtype)
    suspect = tuned(base, 5, size=0.02, only=only, decay=1.2)
    result = audit(suspect, {"O": base}, "O")
    assert told(result)[0] not in ("adapter-fine-tune", "abliteration")
    assert "of low rank" not in result.report.verdict.sentence
    assert all(row["excess"] > 1.5 for row in rows(result))


def test_training_after_an_adapter_was_merged_is_no_adapter_alone() -> None:
    base = stored(weights(1))
    suspect = tuned(adapted(base, 2, rank=4, size=0.05), 6, size=0.01)
    assert told(audit(suspect, {"O": base}, "O"))[0] != "adapter-fine-tune"


def test_rows_of_a_few_tokens_are_no_adapter() -> None:
    base = read(stored(weights(1)))
    base_model = stored(base)
    rng = np.random.default_rng(7)
    base["model.embed_tokens.weight"][:6] += rng.normal(0, 0.01, (6, HIDDEN))
    assert told(audit(stored(base), {"O": base_model}, "O"))[0] != "adapter-fine-tune"


@pytest.mark.parametrize("dtype", [DType.BF16, DType.F32])
@pytest.mark.parametrize("strength", [1.0, 0.6])
def test_a_direction_taken_out_is_named_with_its_strength(strength: float, dtype: DType) -> None:
    base = stored(weights(8), dtype)
    result = audit(abliterated(base, 9, strength), {"O": base}, "O")
    assert told(result) == ("abliteration", "supported")
    assert f"7 matrices (strength {strength:.3g}, " in result.report.verdict.sentence


def test_an_adapter_of_rank_one_is_no_abliteration() -> None:
    base = stored(weights(8))
    result = audit(adapted(base, 10, rank=1, size=0.1, only="o_proj"), {"O": base}, "O")
    assert told(result) == ("adapter-fine-tune", "supported")


def test_one_direction_added_with_other_weights_is_no_abliteration() -> None:
    """The same left vector in every matrix, but not what the matrix had along it."""
    base = stored(weights(8))
    rng, made = np.random.default_rng(11), read(base)
    r = rng.normal(0, 1, HIDDEN)
    for name, w in made.items():
        if any(part in name for part in WRITES):
            made[name] = w + 0.01 * np.outer(r, rng.normal(0, 0.3, w.shape[1]))
    assert told(audit(stored(made), {"O": base}, "O"))[0] != "abliteration"


@pytest.mark.parametrize("given", ["O", "OX"])
def test_a_faint_adapter_is_named_with_the_rank_that_fits_in_the_rounding_cells(given: str) -> None:
    base, other = stored(weights(1)), stored(weights(9))
    result = audit(adapted(base, 2, rank=2, size=0.003), {"O": base, "X": other}, given)
    assert told(result) == ("adapter-fine-tune", "supported")
    assert "is O.safetensors with a change of rank 2 in 12 matrices" in result.report.verdict.sentence
    fits = [row["fit"] for row in rows(result) if "fit" in row]
    assert {fit["rank"] for fit in fits} == {2}
    (tail,) = (str(r.why_excluded) for r in result.report.verdict.rivals if r.relation == "fine-tune")
    assert "such a product, added, rounds to 99." in tail


def test_a_fainter_one_shows_its_rank_and_not_over_whom() -> None:
    base, other = stored(weights(1)), stored(weights(9))
    result = audit(adapted(base, 2, rank=2, size=0.001), {"O": base, "X": other}, "OX")
    assert told(result)[1] == "undetermined"
    sentence = result.report.verdict.sentence
    assert (
        "the change is of rank 2 in 12 of 12 matrices looked at, as an adapter or a fine-tune" in sentence
    )
    assert "adapter-fine-tune" in {r.relation for r in result.report.verdict.rivals}


def test_a_faint_full_change_is_said_to_be_of_no_rank() -> None:
    base, other = stored(weights(1)), stored(weights(9))
    for size in (0.003, 0.001):
        result = audit(tuned(base, 2, size=size, only="proj"), {"O": base, "X": other}, "OX")
        assert told(result)[1] == "undetermined"
        assert "of rank" not in result.report.verdict.sentence
        assert not any("fit" in row for row in rows(result))


def test_faint_adapters_over_one_base_are_not_said_to_be_one_over_the_other() -> None:
    base = stored(weights(1))
    one, other = (adapted(base, k, rank=2, size=0.003) for k in (2, 3))
    assert told(audit(one, {"T": other}, "T"))[1] == "undetermined"
    result = audit(base, {"S": one}, "S")
    assert told(result)[1] == "undetermined"
    assert "from S.safetensors" not in result.report.verdict.sentence


def test_a_faint_adapter_that_peft_merged_is_named_with_its_rank() -> None:
    """Rounding to bfloat16 left .2 to .8 of its energy above itself, and 2 of 2 directions in the cells."""
    base = of("adapters-faint/base")
    result = audit(of("adapters-faint/lora"), {"O": base}, "O")
    assert told(result) == ("adapter-fine-tune", "supported")
    assert "change of rank 2 in 7 matrices" in result.report.verdict.sentence
    back = audit(base, {"S": of("adapters-faint/lora")}, "S")
    assert told(back)[1] == "undetermined"


def test_an_adapter_with_scaled_rows_that_peft_merged_is_named_with_its_rank() -> None:
    """DoRA in bfloat16: each row has a scale of its own, beside which singular values tell a bound."""
    base = of("adapters-faint/base")
    result = audit(of("adapters-faint/dora"), {"O": base}, "O")
    assert told(result) == ("adapter-fine-tune", "supported")
    sentence = result.report.verdict.sentence
    assert (
        "change of rank 4 in 7 matrices, as an adapter merged into it makes, its rows scaled (DoRA)"
        in sentence
    )
    assert {(row["fit"]["rank"], row["fit"]["scaled"]) for row in rows(result)} == {(4, True)}
    back = audit(base, {"S": of("adapters-faint/dora")}, "S")
    assert told(back)[1] == "undetermined"
    assert any("it was made from the suspect" in str(r.why_excluded) for r in back.report.verdict.rivals)


def scaled(model: Model, seed: int, spread: float) -> Weights:
    """Rows of every matrix multiplied by factors of their own."""
    rng, made = np.random.default_rng(seed), read(model)
    for name, w in made.items():
        if "proj" in name:
            made[name] = w * (1 + rng.normal(0, spread, (w.shape[0], 1)))
    return made


def test_scaled_rows_alone_are_no_adapter() -> None:
    base, other = stored(weights(1)), stored(weights(9))
    result = audit(stored(scaled(base, 2, 0.003)), {"O": base, "X": other}, "OX")
    assert told(result)[0] != "adapter-fine-tune"
    assert not any("fit" in row for row in rows(result))


def test_a_full_change_with_scaled_rows_is_no_adapter() -> None:
    base, other = stored(weights(1)), stored(weights(9))
    suspect = stored(scaled(tuned(base, 2, size=0.01, only="proj", decay=1.2), 3, 0.003))
    result = audit(suspect, {"O": base, "X": other}, "OX")
    assert told(result)[0] != "adapter-fine-tune"
    assert not any("fit" in row for row in rows(result))
