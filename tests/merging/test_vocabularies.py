"""Vocabularies: a row of the output is made of rows of its own token, never of another's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from parentage import api
from parentage.errors import PlanError
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from tests.merging.models import WIDTH, bits_of, llama, recipe_file, write_model
from tests.merging.test_merge import linear

FIRST = ["the", "cat", "sat", "on", "mats"]
SECOND = ["cat", "the", "dog", "sat"]
EMBEDDING = "model.embed_tokens.weight"


def tokenizer(tokens: list[str]) -> str:
    """A word-level tokenizer.json."""
    return json.dumps(
        {"model": {"type": "WordLevel", "vocab": {t: k for k, t in enumerate(tokens)}}, "added_tokens": []}
    )


def models(folder: Path) -> tuple[Path, Path]:
    """Two models of different vocabularies; the first has three rows more than tokens. Row values are
    multiples of 2**-3, so that means of two are exact in bfloat16."""
    places = []
    for seed, (name, tokens, rows) in enumerate((("a", FIRST, len(FIRST) + 3), ("b", SECOND, len(SECOND)))):
        weights = llama(seed + 1, vocabulary=rows)
        for tensor in (EMBEDDING, "lm_head.weight"):
            numbers = (
                8 * seed + np.arange(rows, dtype=np.float32)[:, None] + np.zeros((1, WIDTH), np.float32)
            )
            weights[tensor] = numbers / 8
        place = write_model(folder / name, weights, config={"vocab_size": rows})
        (place / "tokenizer.json").write_text(tokenizer(tokens))
        places.append(place)
    return places[0], places[1]


def rows_of(place: Path, name: str = EMBEDDING) -> NDArray[np.float32]:
    """The first column."""
    dtype, shape, data = bits_of(place)[name]
    assert dtype is DType.BF16
    return to_float32(np.frombuffer(data, np.uint16), dtype).reshape(shape)[:, 0]


def merged(folder: Path, **more: Any) -> Path:
    """A half of each."""
    a, b = models(folder)
    api.merge(recipe_file(folder, linear((a, 0.5), (b, 0.5), **more)), folder / "out")
    return folder / "out"


# Values of FIRST's tokens are 0, 1, 2, 3, 4 eighths (padding 5, 6, 7); of SECOND's 8, 9, 10, 11.
HALF_SHARED = {"the": (0 + 9) / 16, "cat": (1 + 8) / 16, "sat": (2 + 11) / 16}
ALONE = {"on": 3 / 8, "mats": 4 / 8, "dog": 10 / 8}


def test_the_bases_vocabulary_is_kept_and_rows_meet_by_token(tmp_path: Path) -> None:
    out = merged(tmp_path, tokenizer_source="base")
    expected = [*(HALF_SHARED.get(t, ALONE.get(t)) for t in FIRST), 5 / 8, 6 / 8, 7 / 8]
    for name in (EMBEDDING, "lm_head.weight"):
        assert rows_of(out, name).tolist() == expected
    assert (out / "tokenizer.json").read_text() == tokenizer(FIRST)
    assert json.loads((out / "config.json").read_text())["vocab_size"] == len(expected)


def test_another_models_vocabulary_may_be_taken(tmp_path: Path) -> None:
    out = merged(tmp_path, tokenizer_source=str(tmp_path / "b"))
    assert rows_of(out).tolist() == [(HALF_SHARED | ALONE)[t] for t in SECOND]
    assert (out / "tokenizer.json").read_text() == tokenizer(SECOND)


def test_a_union_has_every_token_and_says_so_in_its_tokenizer(tmp_path: Path) -> None:
    out = merged(tmp_path, tokenizer={"source": "union", "pad_to_multiple_of": 4})
    found = rows_of(out)
    table = json.loads((out / "tokenizer.json").read_text())
    tokens = table["model"]["vocab"] | {t["content"]: t["id"] for t in table["added_tokens"]}
    assert set(tokens) == {*FIRST, *SECOND}
    assert found.size == 8
    for token, row in tokens.items():
        assert found[row] == (HALF_SHARED | ALONE)[token]
    # Six tokens and two rows of padding, which no token names.
    assert found[6:].tolist() == [0, 0]


def test_a_row_may_be_chosen_token_by_token(tmp_path: Path) -> None:
    b = str(tmp_path / "b")
    tokens = {
        "the": {"source": {"kind": "model_token", "model": b, "token": "dog"}, "force": True},
        "cat": {"source": {"kind": "zero"}, "force": True},
        "on": {"source": {"kind": "model_token", "model": b, "token_id": 1}},
        "sat": {"source": b},
    }
    out = merged(tmp_path, tokenizer={"source": "base", "tokens": tokens})
    # "on" is in the first model alone: the second's part is what the recipe says. "sat" is in both.
    assert rows_of(out)[:5].tolist() == [10 / 8, 0, 13 / 16, (3 + 9) / 16, 4 / 8]


def refused(folder: Path, **more: Any) -> PlanError:
    """The error of a merge."""
    with pytest.raises(PlanError) as raised:
        merged(folder, **more)
    assert not (folder / "out").exists()
    return raised.value


def test_different_vocabularies_of_one_size_are_not_averaged_unasked(tmp_path: Path) -> None:
    a, b = write_model(tmp_path / "a", llama(1)), write_model(tmp_path / "b", llama(2))
    (a / "tokenizer.json").write_text(tokenizer(FIRST))
    (b / "tokenizer.json").write_text(tokenizer([*SECOND, "x"]))
    with pytest.raises(PlanError) as raised:
        api.merge(recipe_file(tmp_path, linear((a, 1), (b, 1))), tmp_path / "out")
    assert raised.value.code == "plan-vocabulary"
    assert "row 0 is the token 'the'" in raised.value.message


def test_what_cannot_be_mapped_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "1", tokenizer_source="elsewhere/model").code == "plan-vocabulary"
    bad = {"the": {"source": {"kind": "model_token", "model": str(tmp_path / "2" / "b"), "token": "none"}}}
    bad["the"]["force"] = True  # type: ignore[assignment]
    assert refused(tmp_path / "2", tokenizer={"source": "base", "tokens": bad}).code == "plan-token"
    a, b = models(tmp_path / "3")
    (b / "tokenizer.json").unlink()
    with pytest.raises(PlanError) as raised:
        api.merge(
            recipe_file(tmp_path, linear((a, 1), (b, 1), tokenizer_source="base")), tmp_path / "3" / "out"
        )
    assert raised.value.code == "plan-vocabulary"


def test_a_tokenizer_that_names_rows_beyond_the_weights_is_refused(tmp_path: Path) -> None:
    a, b = models(tmp_path)
    (b / "tokenizer.json").write_text(tokenizer([*SECOND, "on"]))
    with pytest.raises(PlanError) as raised:
        api.merge(recipe_file(tmp_path, linear((a, 1), (b, 1), tokenizer_source="base")), tmp_path / "out")
    assert raised.value.code == "plan-vocabulary"
