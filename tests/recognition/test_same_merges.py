"""One merge under two names: both are told, and the one whose numbers somebody typed comes first."""

from __future__ import annotations

from parentage.evidence.recognition.slerp import SLERP
from parentage.evidence.recognition.spherical import NUSLERP
from parentage.records.dtypes import DType
from parentage.records.recognition import MethodReplay
from tests.recognition.passes import recognition_of
from tests.recognition.worlds import Made, family, made


def _told(recipe: Made) -> MethodReplay:
    models = family(11, count=2, size=3_000, apart=(0.3, 0.5))
    return recognition_of(made(recipe, models), models, "AB", among=(SLERP, NUSLERP)).replays[0]


def test_nuslerp_of_two_models_is_named_by_weights_and_slerp_beside_it() -> None:
    found = _told(Made("nuslerp", "AB", None, ({"weight": 0.38}, {"weight": 0.56}), dtype=DType.F32))
    assert found.method == "nuslerp"
    first, second = (row["weight"] for row in found.numbers.each)
    assert abs(first / second - 0.38 / 0.56) < 1e-9
    assert {a.method for a in found.alike} == {"slerp"}


def test_slerp_of_a_typed_t_is_named_so_and_nuslerp_beside_it() -> None:
    found = _told(Made("slerp", "AB", 0, (), {"t": 0.35}, dtype=DType.F32))
    assert (found.method, found.numbers.shared["t"]) in (("slerp", 0.35), ("slerp", 0.65))
    assert "nuslerp" in {a.method for a in found.alike}
