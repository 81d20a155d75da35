"""Two checkpoints compared: every count and size is worked by hand or by plain numpy."""

from __future__ import annotations

import json
import tracemalloc
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file

from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import AlignmentError
from parentage.evidence.between import difference as measured
from parentage.evidence.between.difference_sums import bin_of, lower_end
from parentage.numerics.storage.formats import ordinal
from parentage.records.absence import Absent
from parentage.records.codec import from_plain, to_plain
from parentage.records.difference import BaseDeltas, Difference, OffsetRange, Offsets
from parentage.records.dtypes import DType

Arrays = dict[str, NDArray[Any]]


def write(folder: Path, name: str, tensors: Arrays) -> Path:
    path = folder / f"{name}.safetensors"
    save_file(tensors, path)
    return path


def write_bits(folder: Path, name: str, dtype: DType, bits: list[int]) -> Path:
    """One tensor ``w`` of exactly these bits."""
    path = folder / f"{name}.safetensors"
    array = np.array(bits, dtype=dtype.storage)
    write_safetensors(path, {"w": StoredTensor(dtype, array.shape, array)})
    return path


def compare(
    first: Path,
    second: Path,
    base: Path | None = None,
    *,
    sample: int | None = None,
    workers: int = 1,
    progress: Any = lambda stage, done, total: None,
) -> Difference:
    with open_checkpoint(first) as a, open_checkpoint(second) as b:
        options: Any = {"sample": sample, "seed": 0, "workers": workers, "progress": progress}
        if base is None:
            return measured.compare_checkpoints(a, b, None, **options)
        with open_checkpoint(base) as o:
            return measured.compare_checkpoints(a, b, o, **options)


def pair(folder: Path, a: NDArray[Any], b: NDArray[Any], **options: Any) -> Difference:
    return compare(write(folder, "a", {"w": a}), write(folder, "b", {"w": b}), **options)


def bits_pair(folder: Path, dtype: DType, a: list[int], b: list[int]) -> Difference:
    return compare(write_bits(folder, "a", dtype, a), write_bits(folder, "b", dtype, b))


def offsets_of(found: Difference) -> Offsets:
    offsets = found.tensors[0].offsets
    assert isinstance(offsets, Offsets)
    return offsets


def test_planted_steps_are_counted(tmp_path: Path) -> None:
    steps = [0, 0, 0, 0, 1, 1, -1, 2, -2, 301]
    one = 0x3F80
    found = bits_pair(tmp_path, DType.BF16, [one] * 10, [one + s for s in steps])
    tensor, offsets = found.tensors[0], offsets_of(found)
    assert (tensor.equal_bits, tensor.equal_values, tensor.examined, tensor.whole) == (4, 4, 10, True)
    assert (offsets.grid, offsets.elements, offsets.median, offsets.largest) == ("BF16", 10, 1, 301)
    # 301 lies in the bin of 300 and 301: nine and a half of ten numbers are reached there.
    assert offsets.percentile_95 == 300
    assert [(r.low, r.count) for r in offsets.ranges] == [(0, 4), (1, 3), (2, 2), (256, 1)]
    assert offsets.ranges[2] == OffsetRange(2, 3, 2)


def test_steps_are_counted_across_zero(tmp_path: Path) -> None:
    # The smallest positive and the smallest negative float16 lie two steps apart.
    found = bits_pair(tmp_path, DType.F16, [0x0001], [0x8001])
    assert offsets_of(found).largest == 2


def test_zeros_of_either_sign_have_equal_values_and_different_bits(tmp_path: Path) -> None:
    found = bits_pair(tmp_path, DType.F32, [0x00000000, 0x3F800000], [0x80000000, 0x3F800000])
    tensor = found.tensors[0]
    assert (tensor.equal_bits, tensor.equal_values) == (1, 2)
    assert (tensor.relative_delta, offsets_of(found).largest) == (0.0, 0)
    assert (found.total.same_bits, found.total.same_values) == (0, 1)


def test_nan_equals_its_own_bits_and_no_value(tmp_path: Path) -> None:
    quiet, other, infinity, one = 0x7FC00000, 0x7FC00001, 0x7F800000, 0x3F800000
    first, second = [quiet, quiet, infinity, one, one], [quiet, other, infinity, infinity, one]
    tensor = bits_pair(tmp_path, DType.F32, first, second).tensors[0]
    assert (tensor.equal_bits, tensor.equal_values) == (3, 2)
    assert (tensor.first_not_finite, tensor.second_not_finite) == (3, 4)
    assert isinstance(tensor.offsets, Offsets)
    assert tensor.offsets.elements == 1
    assert tensor.relative_delta == 0.0


def test_nothing_finite_is_said_and_not_zero(tmp_path: Path) -> None:
    nan = np.full(3, np.nan, np.float32)
    tensor = pair(tmp_path, nan, nan).tensors[0]
    assert tensor.equal_bits == 3
    for value in (tensor.offsets, tensor.relative_delta, tensor.spread_delta):
        assert isinstance(value, Absent)


def test_sizes_are_those_worked_by_hand(tmp_path: Path) -> None:
    found = pair(tmp_path, np.array([3, 4], np.float32), np.array([3, 4.5], np.float32))
    tensor = found.tensors[0]
    assert tensor.relative_delta == pytest.approx(0.5 / 5, rel=1e-12)
    assert tensor.spread_delta == pytest.approx(sqrt(0.25 / 2) / 0.5, rel=1e-12)
    assert found.total.relative_delta == tensor.relative_delta


def test_a_tensor_without_size_or_spread_has_no_ratio(tmp_path: Path) -> None:
    zero = pair(tmp_path, np.zeros(4, np.float32), np.ones(4, np.float32)).tensors[0]
    assert isinstance(zero.relative_delta, Absent)
    level = pair(tmp_path, np.full(7, 0.1), np.zeros(7)).tensors[0]
    assert level.relative_delta == pytest.approx(1.0)
    assert isinstance(level.spread_delta, Absent)


def test_float64_extremes_neither_wrap_nor_become_infinite(tmp_path: Path) -> None:
    top = np.finfo(np.float64).max
    found = pair(tmp_path, np.array([top, 1.0]), np.array([-top, 1.0]))
    size = int(ordinal(np.array([top]).view(np.uint64), DType.F64)[0])
    assert offsets_of(found).largest == 2 * size
    assert isinstance(found.tensors[0].relative_delta, Absent)
    json.dumps(to_plain(found), allow_nan=False)


def test_cosine_of_the_deltas_from_a_base(tmp_path: Path) -> None:
    o = np.array([1, 2, 3, 4], np.float32)
    a, b = o + np.array([1, 0, 0, 0], np.float32), o + np.array([1, 1, 0, 0], np.float32)
    paths = [write(tmp_path, n, {"w": v}) for n, v in (("a", a), ("b", b), ("o", o))]
    found = compare(*paths).tensors[0].base
    assert isinstance(found, BaseDeltas)
    assert found.cosine == pytest.approx(1 / sqrt(2), rel=1e-12)
    assert found.first_relative == pytest.approx(1 / sqrt(30), rel=1e-12)
    assert found.second_relative == pytest.approx(sqrt(2) / sqrt(30), rel=1e-12)


def test_what_is_not_finite_in_the_base_counts_in_no_cosine(tmp_path: Path) -> None:
    a, b = np.array([2, 2, 9], np.float32), np.array([3, 2, 1], np.float32)
    o = np.array([1, 1, np.nan], np.float32)
    paths = [write(tmp_path, n, {"w": v}) for n, v in (("a", a), ("b", b), ("o", o))]
    tensor = compare(*paths).tensors[0]
    assert isinstance(tensor.base, BaseDeltas)
    assert tensor.base.elements == 2
    assert tensor.base.cosine == pytest.approx(3 / sqrt(2 * 5), rel=1e-12)
    assert tensor.relative_delta == pytest.approx(sqrt(1 + 64) / sqrt(89), rel=1e-12)


def test_a_model_that_equals_its_base_has_no_cosine(tmp_path: Path) -> None:
    o, b = np.ones(4, np.float32), np.zeros(4, np.float32)
    paths = [write(tmp_path, n, {"w": v}) for n, v in (("a", o), ("b", b), ("o", o))]
    found = compare(*paths).tensors[0].base
    assert isinstance(found, BaseDeltas)
    assert found.cosine == Absent("the first model equals the base")


def test_a_tensor_that_the_base_lacks_is_still_compared(tmp_path: Path) -> None:
    w = np.ones(4, np.float32)
    both = write(tmp_path, "a", {"w": w, "v": w})
    found = compare(both, both, write(tmp_path, "o", {"w": w, "v": np.ones(5, np.float32)}))
    by_name = {t.name: t for t in found.tensors}
    assert isinstance(by_name["w"].base, BaseDeltas)
    missing = by_name["v"].base
    assert isinstance(missing, Absent)
    assert "[5]" in missing.reason
    assert by_name["v"].equal_bits == 4


def test_other_dtypes_are_compared_by_value_alone(tmp_path: Path) -> None:
    a = np.array([1.0, 0.5, 0.1, -0.0], np.float32)
    tensor = pair(tmp_path, a, a.astype(np.float16)).tensors[0]
    assert (tensor.first_dtype, tensor.second_dtype) == ("F32", "F16")
    assert tensor.equal_bits == Absent("the dtypes differ: F32 and F16")
    assert tensor.offsets == tensor.equal_bits
    assert tensor.equal_values == 3
    apart = abs(0.1 - float(np.float16(0.1)))
    assert tensor.relative_delta == pytest.approx(apart / sqrt(1.26), rel=1e-3)


def test_bf16_numbers_in_float32_files_are_counted_on_the_bf16_grid(tmp_path: Path) -> None:
    first = [0x3F80 << 16, 0x4000 << 16, 0x4080 << 16]
    second = [0x3F81 << 16, 0x4000 << 16, 0x4083 << 16]
    offsets = offsets_of(bits_pair(tmp_path, DType.F32, first, second))
    assert (offsets.grid, offsets.median, offsets.largest) == ("BF16", 1, 3)
    assert [(r.low, r.count) for r in offsets.ranges] == [(0, 1), (1, 1), (2, 1)]
    second[0] += 1
    wider = offsets_of(bits_pair(tmp_path, DType.F32, first, second))
    assert (wider.grid, wider.largest) == ("F32", 3 << 16)


def test_integers_are_compared_by_bits_and_value(tmp_path: Path) -> None:
    a = np.array([0, 1, -1, 7], np.int64)
    same = pair(tmp_path, a, np.array([0, 1, -1, 8], np.int64)).tensors[0]
    assert (same.equal_bits, same.equal_values) == (3, 3)
    assert isinstance(same.offsets, Absent)
    assert isinstance(same.relative_delta, Absent)
    narrow = pair(tmp_path, a, a.astype(np.int8)).tensors[0]
    assert (narrow.equal_values, isinstance(narrow.equal_bits, Absent)) == (4, True)
    # The bits of -1 and of 2**64 - 1 are the same, the numbers are not.
    wide = pair(tmp_path, a, a.view(np.uint64)).tensors[0]
    assert wide.equal_values == 3


def test_what_only_one_model_has_is_listed_with_the_reason(tmp_path: Path) -> None:
    w = np.ones(4, np.float32)
    first = write(tmp_path, "a", {"w": w, "only": w, "shape": w, "kind": w})
    second = write(tmp_path, "b", {"w": w, "shape": np.ones(5, np.float32), "kind": np.ones(4, np.int32)})
    found = compare(first, second)
    assert [t.name for t in found.tensors] == ["w"]
    assert {(t.model, t.tensor): t.reason for t in found.one_sided} == {
        ("first", "only"): "the other model has no such tensor",
        ("first", "shape"): "its shape is [4], the other model's [5]",
        ("first", "kind"): "its dtype is F32, the other model's I32",
        ("second", "shape"): "its shape is [5], the other model's [4]",
        ("second", "kind"): "its dtype is I32, the other model's F32",
    }


def test_a_wrapper_prefix_does_not_hide_the_counterpart(tmp_path: Path) -> None:
    w = np.ones(4, np.float32)
    found = compare(write(tmp_path, "a", {"model.w": w}), write(tmp_path, "b", {"w": w}))
    assert [(t.name, t.second_name) for t in found.tensors] == [("model.w", "w")]
    assert found.one_sided == ()


def test_models_without_a_common_tensor_are_refused(tmp_path: Path) -> None:
    w = np.ones(4, np.float32)
    paths = [write(tmp_path, n, {n: w}) for n in ("a", "b")]
    with pytest.raises(AlignmentError):
        compare(*paths)
    # A base that meets the first model does not make the two comparable.
    with pytest.raises(AlignmentError):
        compare(paths[0], paths[1], paths[0])


def test_empty_and_scalar_tensors_are_compared(tmp_path: Path) -> None:
    tensors: Arrays = {"none": np.zeros((0, 3), np.float32), "one": np.array(2.5, np.float32)}
    found = compare(write(tmp_path, "a", tensors), write(tmp_path, "b", tensors))
    by_name = {t.name: t for t in found.tensors}
    assert (by_name["none"].examined, by_name["none"].relative_delta) == (0, measured.NOT_FINITE)
    assert (by_name["one"].equal_bits, by_name["one"].relative_delta) == (1, 0.0)


def test_parts_and_workers_move_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a = {f"w{k}": rng.normal(1, 0.02, 3000 + k).astype(np.float32) for k in range(3)}
    b = {n: (v * (1 + rng.normal(0, 1e-6, v.size))).astype(np.float32) for n, v in a.items()}
    first, second = write(tmp_path, "a", a), write(tmp_path, "b", b)
    whole = compare(first, second)
    monkeypatch.setattr(measured, "PART", 256)
    parts = compare(first, second)
    assert compare(first, second, workers=3) == parts
    for t, u in zip(whole.tensors, parts.tensors, strict=True):
        assert (t.equal_bits, t.equal_values, t.offsets) == (u.equal_bits, u.equal_values, u.offsets)
        assert u.relative_delta == pytest.approx(t.relative_delta, rel=1e-12)
        assert u.spread_delta == pytest.approx(t.spread_delta, rel=1e-12)
    x, y = a["w1"].astype(np.float64), b["w1"].astype(np.float64)
    own = parts.tensors[1]
    assert own.relative_delta == pytest.approx(np.linalg.norm(y - x) / np.linalg.norm(x), rel=1e-12)
    assert own.spread_delta == pytest.approx(np.sqrt(np.mean((y - x) ** 2)) / np.std(x), rel=1e-12)
    steps = np.abs(a["w1"].view(np.int32) - b["w1"].view(np.int32))
    assert isinstance(own.offsets, Offsets)
    assert own.offsets.largest == steps.max()
    assert own.offsets.median == np.quantile(steps, 0.5, method="inverted_cdf")
    assert own.offsets.percentile_95 == np.quantile(steps, 0.95, method="inverted_cdf")


def test_a_sampled_tensor_weighs_as_much_as_all_of_it(tmp_path: Path) -> None:
    small, large = np.ones(256, np.float32), np.ones(256 * 40, np.float32)
    first = write(tmp_path, "a", {"pooler.a": small, "pooler.b": large})
    second = write(tmp_path, "b", {"pooler.a": small * 2, "pooler.b": large})
    full, some = compare(first, second), compare(first, second, sample=256)
    assert [(t.examined, t.whole) for t in some.tensors] == [(256, True), (256, False)]
    assert some.total.examined == 512
    assert full.total.relative_delta == pytest.approx(sqrt(1 / 41), rel=1e-12)
    assert some.total.relative_delta == pytest.approx(full.total.relative_delta, rel=1e-12)
    assert some.components[0].relative_delta == some.total.relative_delta


def test_memory_does_not_grow_with_the_tensor(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"BF16","shape":[20000000],"data_offsets":[0,40000000]}}'
    paths = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for path in paths:
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        with path.open("r+b") as stream:
            stream.truncate(8 + len(header) + 40_000_000)
    tracemalloc.start()
    try:
        found = compare(*paths)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.tensors[0].equal_bits == 20_000_000
    assert peak < 40_000_000


def test_progress_reaches_its_total(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    a = np.ones(2**20, np.float32)
    pair(tmp_path, a, a, progress=lambda stage, done, total: seen.append((done, total)))
    assert len(seen) == 4
    assert seen[-1] == (8, 8)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_bins_hold_each_number_to_one_part_in_128(numbers: list[int]) -> None:
    bins = bin_of(np.array(numbers, np.uint64))
    for number, place in zip(numbers, bins.tolist(), strict=True):
        low = lower_end(place)
        assert low <= number < max(lower_end(place + 1), low + 1)
        assert (number - low) * 128 <= low
        assert low == number or number >= 256


def test_the_record_survives_its_own_json(tmp_path: Path) -> None:
    found = pair(tmp_path, np.ones(3, np.float32), np.zeros(3, np.float16))
    assert from_plain(Difference, json.loads(json.dumps(to_plain(found)))) == found


@pytest.mark.real
def test_siblings_of_one_base_share_no_direction(family: Path) -> None:
    found = compare(family / "A", family / "B", family / "O", sample=4096)
    total = found.total.base
    assert isinstance(total, BaseDeltas)
    assert isinstance(total.cosine, float)
    assert abs(total.cosine) < 0.05
    assert found.total.tensors == 103
