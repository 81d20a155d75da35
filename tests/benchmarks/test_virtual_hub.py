"""The virtual hub serves what the published model is: its sums, its files, and bytes that do not depend on
who asks for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from parentage.checkpoints.formats.safetensors_header import parse_header, parse_length
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.methods.linear import arithmetic
from parentage.numerics.storage.formats import round_to, to_float64
from parentage.records.dtypes import DType
from virtual_hub_parts.architecture import FULL, SMALL, tensors_of
from virtual_hub_parts.counters import bfloat16_bits, key_of, normal, uniform
from virtual_hub_parts.files import LARGEST, files_of
from virtual_hub_parts.server import Conditions, VirtualHub
from virtual_hub_parts.weights import MODELS, data_of, trained_experts, values_of

BY_NAME = {t.name: t for t in tensors_of(FULL)}
GATES = "model.language_model.layers.7.mlp.experts.gate_up_proj"


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


def test_the_sums_are_those_that_were_published() -> None:
    tensors = list(BY_NAME.values())
    assert len(tensors) == 2924
    assert sum(t.elements for t in tensors) == 403_397_928_944
    assert sum(t.nbytes for t in tensors) == 806_795_875_168
    assert sum(t.dtype == "F32" for t in tensors) == 90
    parts = [sum(n.startswith(p) for n in BY_NAME) for p in ("model.visual.", "mtp.")]
    assert parts == [333, 1553]
    assert BY_NAME[GATES].shape == (512, 2048, 4096)


def test_the_files_are_94_and_hold_every_tensor_once() -> None:
    model = files_of(FULL, "card")
    assert list(model.shards) == [f"model.safetensors-{k:05d}-of-00094.safetensors" for k in range(1, 95)]
    held = [p.tensor.name for s in model.shards.values() for p in s.tensors]
    assert sorted(held) == sorted(BY_NAME)
    for shard in model.shards.values():
        length = parse_length(shard.header[:8], shard.size, shard.name)
        assert length + 8 == len(shard.header)
        refs, _ = parse_header(shard.header[8:], file_size=shard.size, where=shard.name)
        assert [r.begin - len(shard.header) for r in refs] == [p.begin for p in shard.tensors]
        assert shard.size <= LARGEST + len(shard.header)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "name", [GATES, "lm_head.weight", "model.language_model.layers.0.linear_attn.A_log"]
)
def test_bytes_do_not_depend_on_the_range_that_asks(model: str, name: str) -> None:
    tensor = BY_NAME[name]
    whole = data_of(model, tensor, FULL, 0, min(tensor.nbytes, 5000))
    for low, high in [(0, 1), (1, 2), (3, 256), (7, len(whole) - 1), (len(whole) // 2, len(whole))]:
        assert data_of(model, tensor, FULL, low, high) == whole[low:high]


def test_a_range_over_header_and_tensors_is_cut_from_the_whole() -> None:
    hub = VirtualHub(SMALL, Conditions())
    shard = list(files_of(SMALL, "").shards.values())[-1]
    whole = hub.bytes_of("tuned", shard, 0, shard.size)
    assert len(whole) == shard.size
    rng = np.random.default_rng(5)
    for _ in range(200):
        low, high = sorted(int(x) for x in rng.integers(0, shard.size, 2))
        assert hub.bytes_of("tuned", shard, low, high) == whole[low:high]


def test_the_merge_is_four_sevenths_in_float32_as_the_instrument_replays_it() -> None:
    tensor = BY_NAME[GATES]
    start = 5 * 2048 * 4096 - 300
    tuned, base, merged = (values_of(m, tensor, FULL, start, 600) for m in ("tuned", "base", "merged"))
    bits = arithmetic("fp32-sum").apply([4 / 7, 3 / 7], [tuned, base], out_dtype=DType.BF16)
    assert np.array_equal(to_float64(bits, DType.BF16), merged)
    assert 0.9 < np.mean(tuned != base) < 1


def test_rounding_is_that_of_the_instrument() -> None:
    values = (normal(key_of("x"), 0, 20_000) * 0.02).astype(np.float32)
    halfway = (np.arange(0x3F80, 0x4080, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    for given in (values, halfway, -halfway):
        assert np.array_equal(bfloat16_bits(given), round_to(given.astype(np.float64), DType.BF16))


def test_the_numbers_are_normal_and_evenly_spread() -> None:
    drawn, even = normal(key_of("a"), 0, 400_000), uniform(key_of("b"), 0, 400_000)
    assert abs(drawn.mean()) < 0.008
    assert abs(drawn.std() - 1) < 0.006
    assert abs((drawn**4).mean() - 3) < 0.06
    assert abs(even.mean()) < 0.005
    assert abs(even.var() - 1 / 3) < 0.004
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 0.008
    assert abs(np.corrcoef(drawn, even)[0, 1]) < 0.008


def test_one_expert_in_a_hundred_was_trained_on_and_no_other_tensor() -> None:
    chosen = trained_experts(FULL)
    assert len(chosen) == 307
    layer, expert = min(chosen)
    tensor = BY_NAME[f"model.language_model.layers.{layer}.mlp.experts.down_proj"]
    each = tensor.elements // 512
    merged, trained = (
        values_of(m, tensor, FULL, expert * each - 1000, 2000) for m in ("merged", "trained")
    )
    assert np.array_equal(merged[:1000], trained[:1000])
    assert 0.2 < np.mean(merged[1000:] != trained[1000:]) < 0.6
    gate = BY_NAME[f"model.language_model.layers.{layer}.mlp.gate.weight"]
    assert data_of("merged", gate, FULL, 0, 4000) == data_of("trained", gate, FULL, 0, 4000)


def test_huggingface_hub_itself_reads_the_hub(small_hub: str, tmp_path: Path) -> None:
    from huggingface_hub import HfApi, get_hf_file_metadata, hf_hub_download, hf_hub_url

    api = HfApi(endpoint=small_hub)
    info = api.model_info("rehearsal/merged", files_metadata=True)
    assert info.siblings is not None
    tree = {f.path: f.size for f in api.list_repo_tree("rehearsal/merged", recursive=True)}
    assert tree == {s.rfilename: s.size for s in info.siblings}
    name = next(n for n in tree if n.endswith(".safetensors"))
    about = get_hf_file_metadata(hf_hub_url("rehearsal/merged", name, endpoint=small_hub))
    assert (about.commit_hash, about.size) == (info.sha, tree[name])
    assert not about.location.startswith(small_hub)
    fetched = hf_hub_download("rehearsal/merged", name, endpoint=small_hub, cache_dir=tmp_path)
    whole = Path(fetched).read_bytes()
    shard = files_of(SMALL, "").shards[name]
    assert whole == VirtualHub(SMALL, Conditions()).bytes_of("merged", shard, 0, shard.size)
    parsed = api.get_safetensors_metadata("rehearsal/merged")
    assert sum(parsed.parameter_count.values()) == sum(t.elements for t in tensors_of(SMALL))


def test_the_instrument_opens_every_tensor(small_hub: str) -> None:
    with (
        RemoteSession(hub_endpoint=small_hub) as session,
        open_checkpoint("hf://rehearsal/base", session=session) as checkpoint,
    ):
        expected = {t.name: t.shape for t in tensors_of(SMALL)}
        assert {n: r.shape for n, r in checkpoint.tensors.items()} == expected
        tensor = next(t for t in tensors_of(SMALL) if t.name == "lm_head.weight")
        read = to_float64(checkpoint.read(tensor.name, 100, 50), DType.BF16)
        assert np.array_equal(read, values_of("base", tensor, SMALL, 100, 50))


PUBLISHED = {
    "lm_head.weight": (0.574, 0.991),
    GATES: (0.571, 0.993),
    "model.language_model.layers.3.self_attn.q_proj.weight": (0.585, 0.986),
    "model.language_model.layers.0.linear_attn.in_proj_qkv.weight": (0.586, 0.984),
    "model.language_model.layers.0.mlp.gate.weight": (0.573, 0.992),
    "model.language_model.layers.15.mlp.gate.weight": (0.647, 0.962),
    "model.language_model.layers.30.mlp.gate.weight": (0.627, 0.967),
    "model.language_model.layers.45.mlp.gate.weight": (0.582, 0.987),
    "model.language_model.layers.59.mlp.gate.weight": (0.567, 0.997),
    "model.language_model.layers.0.mlp.shared_expert_gate.weight": (0.568, 0.997),
    "model.language_model.layers.30.mlp.shared_expert_gate.weight": (0.581, 0.988),
}


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_least_squares_reads_the_published_pairs_off_a_merge_at_four_sevenths(name: str) -> None:
    tensor = BY_NAME[name]
    count = min(tensor.elements, 200_000)
    base, tuned, merged = (
        values_of(m, tensor, FULL, 0, count).astype(np.float64) for m in ("base", "tuned", "merged")
    )
    delta, moved = tuned - base, merged - base
    alpha = delta @ moved / (delta @ delta)
    cosine = delta @ moved / np.sqrt((delta @ delta) * (moved @ moved))
    # Of sampling (a gate has 4,096 elements in all), beside the .003 that the fit leaves.
    noise = np.sqrt(1 - cosine**2) / np.sqrt(count)
    assert abs(alpha - PUBLISHED[name][0]) < 0.003 + 2 * noise
    assert abs(cosine - PUBLISHED[name][1]) < 0.0035 + noise
