"""Real weights: an int8 copy that others published; merges of a real fine-tune and its base, quantised."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from parentage import api
from parentage.architectures.alignment import align
from parentage.checkpoints.opening import open_checkpoint
from parentage.evidence.codes.quantized import measure_codes
from parentage.evidence.sampling.positions import Sampling
from parentage.records.estimate import Estimate
from tests.worlds.quantised import Planted, write_plain, write_quantised

pytestmark = pytest.mark.real
MEMBERS = ("O", "A", "B")


def places(family: Path) -> dict[str, str]:
    return {name: str(family / name / "model.safetensors") for name in MEMBERS}


@pytest.fixture(scope="module")
def quantised(family: Path) -> str:
    path = family / "Q" / "model.onnx"
    if not path.exists():
        pytest.skip("Q is not there: scripts/fetch_family.py --quantised fetches it")
    return str(path)


@pytest.fixture(scope="module")
def layers(family: Path) -> dict[str, Planted]:
    """The first layer's tensors of each member."""
    found = {}
    for name in MEMBERS:
        model = load_file(family / name / "model.safetensors")
        found[name] = {n: w for n, w in model.items() if ".layer.0." in n}
    return found


def test_every_code_of_the_published_int8_copy_is_its_bases_and_not_its_fine_tunes(
    quantised: str, family: Path
) -> None:
    with open_checkpoint(quantised) as suspect:
        others = [open_checkpoint(place) for place in places(family).values()]
        groups = align(suspect, others).groups
        found = measure_codes(groups, [suspect, *others], Sampling(10**9, 0), 1, lambda *_: None)
        for other in others:
            other.close()
    codes = sum(t.codes for t in found)
    assert codes > 22_000_000
    shares = [sum(t.matches[k] for t in found) / codes for k in range(3)]
    assert shares[0] == 1.0
    assert shares[1] == pytest.approx(0.7970, abs=5e-4)
    assert shares[2] == pytest.approx(0.9418, abs=5e-4)
    assert {t.scale_rule for t in found} == {"absmax / 127"}
    assert all(t.scales == t.scale_matches[0] > 0 for t in found)


@pytest.mark.slow
def test_the_published_int8_copy_is_told_from_copies_of_its_bases_fine_tunes(
    quantised: str, family: Path
) -> None:
    parents = list(places(family).values())
    result = api.audit(quantised, parents=parents, digests=False, sample=2048, workers=1)
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("quantized-copy", "supported")
    assert [p.name for p in verdict.parents] == ["O/model.safetensors"]


@pytest.mark.parametrize("format_", ["Q8_0", "Q4_1", "int8-channel", "fp8-tile"])
def test_a_real_merge_that_was_quantised_is_seen_through_its_scales(
    format_: str, layers: dict[str, Planted], tmp_path: Path
) -> None:
    a, o = layers["A"], layers["O"]
    merged = {n: np.float32(0.6) * a[n] + np.float32(0.4) * o[n] for n in a}
    suspect = write_quantised(tmp_path / "q", merged, format_)
    given = {name: write_plain(tmp_path / name, model) for name, model in layers.items()}
    result = api.audit(
        suspect, parents=[given["A"], given["O"]], controls=[given["B"]], digests=False, sample=8192
    )
    verdict = result.report.verdict
    assert (verdict.relation, verdict.status) == ("linear-merge", "supported"), verdict
    weight = verdict.parents[0].weight
    assert isinstance(weight, Estimate)
    assert weight.low <= 0.6 <= weight.high
    assert weight.estimate == pytest.approx(0.6, abs=1e-9)


@pytest.mark.parametrize("format_", ["Q8_0", "Q4_1", "int8-channel", "fp8-tile"])
def test_a_real_fine_tune_that_was_quantised_is_no_merge_of_its_relatives(
    format_: str, layers: dict[str, Planted], tmp_path: Path
) -> None:
    suspect = write_quantised(tmp_path / "q", layers["B"], format_)
    given = [write_plain(tmp_path / name, layers[name]) for name in ("A", "O")]
    verdict = api.audit(suspect, parents=given, digests=False, sample=8192).report.verdict
    assert verdict.status != "supported" or verdict.relation in ("fine-tune", "shared-ancestor")
