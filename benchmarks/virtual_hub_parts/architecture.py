"""Every tensor of Qwen3.5-397B-A17B by name, dtype and shape, and of a miniature with the same names.

Read from the published configuration: linear attention in three layers of four (16 key heads, 64 value
heads of 128), gated full attention in the fourth (32 heads and 2 key-value heads of 256), experts fused in
the trunk and one by one in the part that predicts further tokens, a vision encoder of 27 blocks. The sums
are those published: 2,924 tensors, 403,397,928,944 parameters, 806,795,875,168 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

__all__ = ["FULL", "SMALL", "Architecture", "Tensor", "tensors_of"]


@dataclass(frozen=True, slots=True)
class Tensor:
    """``dtype`` as safetensors spells it, BF16 or F32."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """How many numbers."""
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Bytes of a number."""
        return 4 if self.dtype == "F32" else 2

    @property
    def nbytes(self) -> int:
        """Bytes of data."""
        return self.elements * self.itemsize


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes, in numbers; ``shards``: weight files."""

    layers: int
    hidden: int
    vocabulary: int
    experts: int
    intermediate: int
    heads: int
    head_size: int
    key_value_heads: int
    key_heads: int
    value_heads: int
    linear_head: int
    vision_layers: int
    vision_hidden: int
    vision_intermediate: int
    vision_positions: int
    shards: int

    @property
    def key_width(self) -> int:
        """Of the keys of linear attention."""
        return self.key_heads * self.linear_head

    @property
    def value_width(self) -> int:
        """Of its values."""
        return self.value_heads * self.linear_head


FULL = Architecture(60, 4096, 248_320, 512, 1024, 32, 256, 2, 16, 64, 128, 27, 1152, 4304, 2304, 94)
# Same names, four layers; tensors small enough that a run of the whole takes seconds.
SMALL = Architecture(4, 64, 320, 8, 32, 2, 32, 1, 2, 4, 16, 1, 48, 96, 32, 7)

Named = tuple[str, tuple[int, ...]]


def tensors_of(size: Architecture) -> tuple[Tensor, ...]:
    """All tensors, in the model's order."""
    parts = (*_text(size), *_ahead(size), *_vision(size))
    return tuple(Tensor(name, _dtype(name), shape) for name, shape in parts)


def _dtype(name: str) -> str:
    return "F32" if name.endswith((".A_log", ".linear_attn.norm.weight")) else "BF16"


def _text(size: Architecture) -> Iterator[Named]:
    root = "model.language_model"
    yield f"{root}.embed_tokens.weight", (size.vocabulary, size.hidden)
    for layer in range(size.layers):
        at = f"{root}.layers.{layer}"
        yield f"{at}.input_layernorm.weight", (size.hidden,)
        yield f"{at}.post_attention_layernorm.weight", (size.hidden,)
        yield from _full_attention(at, size) if layer % 4 == 3 else _linear_attention(at, size)
        yield from _shared(at, size)
        yield f"{at}.mlp.experts.gate_up_proj", (size.experts, 2 * size.intermediate, size.hidden)
        yield f"{at}.mlp.experts.down_proj", (size.experts, size.hidden, size.intermediate)
    yield f"{root}.norm.weight", (size.hidden,)
    yield "lm_head.weight", (size.vocabulary, size.hidden)


def _full_attention(at: str, size: Architecture) -> Iterator[Named]:
    width, narrow = size.heads * size.head_size, size.key_value_heads * size.head_size
    yield f"{at}.self_attn.q_proj.weight", (2 * width, size.hidden)  # queries and their gates
    yield f"{at}.self_attn.k_proj.weight", (narrow, size.hidden)
    yield f"{at}.self_attn.v_proj.weight", (narrow, size.hidden)
    yield f"{at}.self_attn.o_proj.weight", (size.hidden, width)
    yield f"{at}.self_attn.q_norm.weight", (size.head_size,)
    yield f"{at}.self_attn.k_norm.weight", (size.head_size,)


def _linear_attention(at: str, size: Architecture) -> Iterator[Named]:
    mixed = 2 * size.key_width + size.value_width
    yield f"{at}.linear_attn.A_log", (size.value_heads,)
    yield f"{at}.linear_attn.dt_bias", (size.value_heads,)
    yield f"{at}.linear_attn.norm.weight", (size.linear_head,)
    yield f"{at}.linear_attn.conv1d.weight", (mixed, 1, 4)
    yield f"{at}.linear_attn.in_proj_qkv.weight", (mixed, size.hidden)
    yield f"{at}.linear_attn.in_proj_z.weight", (size.value_width, size.hidden)
    yield f"{at}.linear_attn.in_proj_a.weight", (size.value_heads, size.hidden)
    yield f"{at}.linear_attn.in_proj_b.weight", (size.value_heads, size.hidden)
    yield f"{at}.linear_attn.out_proj.weight", (size.hidden, size.value_width)


def _shared(at: str, size: Architecture) -> Iterator[Named]:
    yield f"{at}.mlp.gate.weight", (size.experts, size.hidden)
    yield f"{at}.mlp.shared_expert.gate_proj.weight", (size.intermediate, size.hidden)
    yield f"{at}.mlp.shared_expert.up_proj.weight", (size.intermediate, size.hidden)
    yield f"{at}.mlp.shared_expert.down_proj.weight", (size.hidden, size.intermediate)
    yield f"{at}.mlp.shared_expert_gate.weight", (1, size.hidden)


def _ahead(size: Architecture) -> Iterator[Named]:
    """The part that predicts further tokens: one layer of full attention, its experts one by one."""
    yield "mtp.fc.weight", (size.hidden, 2 * size.hidden)
    for name in ("pre_fc_norm_embedding", "pre_fc_norm_hidden", "norm"):
        yield f"mtp.{name}.weight", (size.hidden,)
    at = "mtp.layers.0"
    yield f"{at}.input_layernorm.weight", (size.hidden,)
    yield f"{at}.post_attention_layernorm.weight", (size.hidden,)
    yield from _full_attention(at, size)
    yield from _shared(at, size)
    for expert in range(size.experts):
        yield f"{at}.mlp.experts.{expert}.gate_proj.weight", (size.intermediate, size.hidden)
        yield f"{at}.mlp.experts.{expert}.up_proj.weight", (size.intermediate, size.hidden)
        yield f"{at}.mlp.experts.{expert}.down_proj.weight", (size.hidden, size.intermediate)


def _vision(size: Architecture) -> Iterator[Named]:
    root, width = "model.visual", size.vision_hidden
    yield f"{root}.patch_embed.proj.weight", (width, 3, 2, 16, 16)
    yield f"{root}.patch_embed.proj.bias", (width,)
    yield f"{root}.pos_embed.weight", (size.vision_positions, width)
    for layer in range(size.vision_layers):
        at = f"{root}.blocks.{layer}"
        yield from _affine(f"{at}.norm1", (width,))
        yield from _affine(f"{at}.norm2", (width,))
        yield from _affine(f"{at}.attn.qkv", (3 * width, width))
        yield from _affine(f"{at}.attn.proj", (width, width))
        yield from _affine(f"{at}.mlp.linear_fc1", (size.vision_intermediate, width))
        yield from _affine(f"{at}.mlp.linear_fc2", (width, size.vision_intermediate))
    yield from _affine(f"{root}.merger.norm", (width,))
    yield from _affine(f"{root}.merger.linear_fc1", (4 * width, 4 * width))
    yield from _affine(f"{root}.merger.linear_fc2", (size.hidden, 4 * width))


def _affine(at: str, shape: tuple[int, ...]) -> Iterator[Named]:
    yield f"{at}.weight", shape
    yield f"{at}.bias", (shape[0],)
