"""A report as large as the largest open models give: Qwen3.5-397B-A17B's 2,924 tensors by name.

Text 1,038 tensors in 60 layers, vision 333, extra prediction layers 1,553 with one tensor an expert.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

from parentage.architectures.roles import role_of
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import LeastSquares, MergeTest, PartDifference, Spectrum, Stratum
from parentage.records.report import Coverage, ModelInput, Replay, Report, TensorVerdict, VerdictParent
from tests.reports.worlds import demo

__all__ = ["LAYERS", "large", "tensor_names"]

LAYERS = 60
SAMPLE = 65_536
ELEMENTS = 403_397_928_944
_NEX, _QWEN = "a fine-tune of Qwen", "Qwen3.5-397B-A17B"
_LINEAR = "A_log norm.weight dt_bias conv1d.weight in_proj_qkv.weight in_proj_z.weight in_proj_a.weight \
in_proj_b.weight out_proj.weight"
_FULL = "q_proj.weight k_proj.weight v_proj.weight o_proj.weight q_norm.weight k_norm.weight"
_MLP = "gate.weight shared_expert.gate_proj.weight shared_expert.up_proj.weight \
shared_expert.down_proj.weight shared_expert_gate.weight"
_VISION = "norm1.weight norm1.bias norm2.weight norm2.bias attn.qkv.weight attn.qkv.bias attn.proj.weight \
attn.proj.bias mlp.linear_fc1.weight mlp.linear_fc1.bias mlp.linear_fc2.weight mlp.linear_fc2.bias"
_VISION_REST = "patch_embed.proj.weight patch_embed.proj.bias pos_embed.weight merger.norm.weight \
merger.norm.bias merger.linear_fc1.weight merger.linear_fc1.bias merger.linear_fc2.weight \
merger.linear_fc2.bias"


def tensor_names() -> tuple[str, ...]:
    """All 2,924 names, in the order of the files' headers: sorted."""
    return tuple(sorted((*_text(), *_vision(), *_mtp())))


def _text() -> Iterator[str]:
    yield from (
        "lm_head.weight",
        "model.language_model.embed_tokens.weight",
        "model.language_model.norm.weight",
    )
    for layer in range(LAYERS):
        place = f"model.language_model.layers.{layer}"
        full = layer % 4 == 3
        yield from (f"{place}.{n}.weight" for n in ("input_layernorm", "post_attention_layernorm"))
        inner, names = ("self_attn", _FULL) if full else ("linear_attn", _LINEAR)
        yield from (f"{place}.{inner}.{n}" for n in names.split())
        yield from (f"{place}.mlp.{n}" for n in _MLP.split())
        yield from (f"{place}.mlp.experts.{n}" for n in ("gate_up_proj", "down_proj"))


def _vision() -> Iterator[str]:
    yield from (f"model.visual.{n}" for n in _VISION_REST.split())
    for block in range(27):
        yield from (f"model.visual.blocks.{block}.{n}" for n in _VISION.split())


def _mtp() -> Iterator[str]:
    outside = ("fc.weight", "norm.weight", "pre_fc_norm_embedding.weight", "pre_fc_norm_hidden.weight")
    yield from (f"mtp.{n}" for n in outside)
    place = "mtp.layers.0"
    yield from (f"{place}.{n}.weight" for n in ("input_layernorm", "post_attention_layernorm"))
    yield from (f"{place}.self_attn.{n}" for n in _FULL.split())
    yield from (f"{place}.mlp.{n}" for n in _MLP.split())
    for expert in range(512):
        yield from (f"{place}.mlp.experts.{expert}.{n}_proj.weight" for n in ("gate", "up", "down"))


def large() -> Report:
    """A merge of two such models: one weight in the trunk, the prediction layers taken over whole."""
    rng = random.Random(2)
    tensors = tuple(_tensor(name, rng) for name in tensor_names())
    examined = sum(t.elements_examined for t in tensors)
    report = demo()
    assert isinstance(report.replay, Replay)
    return replace(
        report,
        verdict=replace(
            report.verdict,
            sentence=f"suspect is a merge: 0.5714 of {_NEX} and 0.4286 of {_QWEN}; no sign of any training "
            "after the merge.",
            parents=(
                VerdictParent(_NEX, Estimate(4 / 7, 0.5714281, 0.5714291, 1.0)),
                VerdictParent(_QWEN, Estimate(3 / 7, 0.4285709, 0.4285719, 1.0)),
            ),
        ),
        suspect=replace(report.suspect, digests=_shards("5"), dtypes=("BF16", "F32")),
        parents=tuple(
            ModelInput(name, role, f"models/{k}", Absent("a local folder has no revision"), _shards(str(k)))
            for k, (name, role) in enumerate(((_NEX, "parent"), (_QWEN, "parent"), ("another", "control")))
        ),
        coverage=Coverage(len(tensors), len(tensors), ELEMENTS, examined, 3 * 2 * examined),
        tensors=tensors,
        strata=_strata(tensors),
        differences=_differences(tensors, rng),
        merge_tests=(MergeTest("the suspect", 1291, 1291, 4.1e9), MergeTest("another", 1291, 3, -2.2e9)),
        least_squares=tuple(
            LeastSquares(t.name, rng.gauss(0.58, 0.02), 1 - rng.uniform(0, 0.02)) for t in tensors
        ),
        spectrum=tuple(
            Spectrum(t.name, _NEX, rng.uniform(2, 40), 4096, 1024)
            for t in tensors
            if t.elements_examined == SAMPLE
        ),
    )


def _tensor(name: str, rng: random.Random) -> TensorVerdict:
    role = role_of(name)
    vector = name.endswith(("norm.weight", "bias", "A_log", "norm1.weight", "norm2.weight"))
    half = 2e-3 if vector else 5e-7 * rng.uniform(0.5, 3)
    copied = name.startswith("mtp.")
    gone = Absent("no blend of these parents was measured here")
    first = Estimate(4 / 7, 4 / 7 - half, 4 / 7 + half, 1.0)
    second = Estimate(3 / 7, 3 / 7 - half, 3 / 7 + half, 1.0)
    layer = Absent("outside the stack of layers") if role.layer is None else role.layer
    return TensorVerdict(
        name=name,
        role=role.role,
        layer=layer,
        component=role.component,
        elements_examined=4096 if vector else SAMPLE,
        weights=(gone, gone) if copied else (first, second),
        consistency=Absent("no blend was measured here") if copied else 1.0,
        match=Absent("not replayed, or the parents are equal here")
        if copied
        else rng.choice((1.0, 1.0, 1.0, 0.99998)),
        sigma_relative=Absent("no later change was measured here"),
        relation="copy" if copied else "linear-merge",
    )


def _shards(digit: str) -> dict[str, str | Absent]:
    return {
        f"model.safetensors-{k:05d}-of-00094.safetensors": f"{k:02x}" + digit * 62 for k in range(1, 95)
    }


def _strata(tensors: tuple[TensorVerdict, ...]) -> tuple[Stratum, ...]:
    sizes: dict[tuple[int, str], int] = {}
    for t in tensors:
        key = (-1 if isinstance(t.layer, Absent) else t.layer, t.component)
        sizes[key] = sizes.get(key, 0) + t.elements_examined
    return tuple(
        Stratum(
            Absent("outside the stack of layers") if layer < 0 else layer,
            component,
            0,
            n,
            3 / n,
            4.6 / n,
        )
        for (layer, component), n in sorted(sizes.items())
    )


def _differences(tensors: tuple[TensorVerdict, ...], rng: random.Random) -> tuple[PartDifference, ...]:
    places = dict.fromkeys((t.layer, t.component) for t in tensors)
    return tuple(
        PartDifference(model, layer, component, 10 ** rng.uniform(-3.2, -1.2), SAMPLE)
        for model in (_NEX, _QWEN)
        for layer, component in places
    )
