"""The marks of thoughts are tokens that a model can tell apart, and nothing else of it changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from examples.affair.thinking import MEANT, ROWS, give_meaning

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType

WORDS = [word for words in MEANT.values() for word in words]
VOCABULARY = {token: k for k, token in enumerate([*MEANT, "a", *WORDS, "b"])}


def _rows(folder: Path) -> np.ndarray:
    with open_checkpoint(str(folder)) as found:
        table = found.tensors[ROWS]
        return to_float32(found.read(table, 0, table.elements), table.dtype).reshape(table.shape)


def test_each_mark_begins_as_the_mean_of_its_words_and_no_other_number_changes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    before = {ROWS: rng.normal(size=(len(VOCABULARY), 8)), "a.weight": rng.normal(size=(3, 8))}
    # Tokens that were in no text have one row, as in the real model.
    before[ROWS][1] = before[ROWS][0]
    stored = {n: StoredTensor(DType.BF16, v.shape, round_to(v, DType.BF16)) for n, v in before.items()}
    write_safetensors(tmp_path / "model.safetensors", stored)
    old, whole = _rows(tmp_path), (tmp_path / "model.safetensors").read_bytes()
    give_meaning(tmp_path, VOCABULARY)
    new, after = _rows(tmp_path), (tmp_path / "model.safetensors").read_bytes()
    for mark, words in MEANT.items():
        mean = np.mean([old[VOCABULARY[w]] for w in words], axis=0)
        assert np.allclose(new[VOCABULARY[mark]], mean, rtol=2**-8)
    assert not np.allclose(new[0], new[1])
    assert np.array_equal(new[2:], old[2:])
    changed = [k for k, (a, b) in enumerate(zip(whole, after, strict=True)) if a != b]
    assert len(whole) == len(after)
    assert changed[-1] - changed[0] < 2 * 8 * 2
