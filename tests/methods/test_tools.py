"""Every bit that mergekit itself wrote, for every method, dtype and many parameters."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest

from parentage.methods.method import Profile
from parentage.methods.registry import method, names
from parentage.numerics.storage.formats import to_float64
from parentage.records.dtypes import DType
from tests.methods.readers import merged
from tests.methods.recipes import FOLDER, cases, theirs
from tests.worlds.fixtures import manifest_files

TENSORS = ("matrix", "vector", "words")
# Share of elements that may differ, by a last bit of the largest: where a coefficient is a sine, it is
# that of torch's vector library, which rounds otherwise than float64's in 5 to 9 of 100 arguments. Dot
# products of karcher are its matrix library's.
LOOSE = {
    ("slerp", "F32"): 0.12,
    ("nuslerp", "F32"): 0.03,
    ("karcher", "F32"): 0.3,
}
METHODS = sorted({c.method for c in cases()} & set(names()), key=names().index)


def bound(name: str) -> float:
    """How far an element of a loose case may be off, as a share of the largest."""
    return 2.0**-21 if name == "karcher" else 2.0**-22


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
@pytest.mark.parametrize("name", METHODS)
def test_every_bit_that_mergekit_wrote_comes_out(name: str, dtype: str) -> None:
    wrong, seen = [], 0
    for case in (c for c in cases() if c.method == name and c.dtype == dtype):
        profile, drawn = Profile("mergekit-0.1.5", DType(case.dtype), DType(case.out)), 0
        for tensor in TENSORS:
            reader = case.reader(tensor, 640)
            found = merged(method(name), reader, case.parameters(drawn), profile, tensor)
            drawn += method(name).draws(reader, case.parameters(drawn), profile)
            stored, bits = theirs("mergekit-0.1.5")[f"{case.id}/{tensor}"]
            assert stored is profile.out
            off = int(np.count_nonzero(found != bits.reshape(-1)))
            wanted = to_float64(bits.reshape(-1), stored)
            apart = np.abs(to_float64(found, stored) - wanted)
            assert off == 0 or apart.max() <= bound(name) * np.abs(wanted).max(), (case.id, tensor, off)
            seen += bits.size
            wrong += [(case.id, tensor, off)] if off else []
    assert seen > 2000
    assert sum(off for *_, off in wrong) <= LOOSE.get((name, dtype), 0) * seen, wrong


def test_the_recipes_are_those_that_the_fixtures_were_made_with() -> None:
    story = manifest_files()["methods/mergekit-0.1.5.safetensors"].story
    assert sha256((FOLDER / "cases.json").read_bytes()).hexdigest() == story["recipes_sha256"]
