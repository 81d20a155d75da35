"""A diffusion model's UNet: diffusers' names, and those of the code that Stable Diffusion came with.

The older code numbers blocks through; with two residual nets a level three of them are a level's.
"""

from __future__ import annotations

import re

from parentage.architectures.families.family import Family

FRONT = "model.diffusion_model."
_FIXED = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
}
_INSIDE = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_BLOCK = re.compile(r"(input|output)_blocks\.(\d{1,3})\.(\d)\.(.+)")
_MIDDLE = re.compile(r"middle_block\.([012])\.(.+)")
LEVEL = 3


def diffusers_name(name: str) -> str:
    """The same tensor's name in diffusers; a name of another kind as it is."""
    plain = name.removeprefix(FRONT)
    stem, _, leaf = plain.rpartition(".")
    if stem in _FIXED:
        return f"{_FIXED[stem]}.{leaf}"
    if found := _MIDDLE.fullmatch(plain):
        place = "attentions.0" if found[1] == "1" else f"resnets.{int(found[1]) // 2}"
        return f"mid_block.{place}.{_inside(found[2])}"
    if found := _BLOCK.fullmatch(plain):
        return _in_block(found[1] == "input", int(found[2]), int(found[3]), found[4]) or plain
    return plain


def _in_block(down: bool, number: int, which: int, rest: str) -> str:
    level, within = divmod(number - 1 if down else number, LEVEL)
    blocks = f"{'down' if down else 'up'}_blocks.{level}"
    if down and rest.startswith("op."):
        return f"{blocks}.downsamplers.0.conv.{rest.removeprefix('op.')}"
    if not down and which and rest.startswith("conv."):
        return f"{blocks}.upsamplers.0.{rest}"
    if which == 0:
        return f"{blocks}.resnets.{within}.{_inside(rest)}"
    return f"{blocks}.attentions.{within}.{rest}" if which == 1 else ""


def _inside(rest: str) -> str:
    stem, _, leaf = rest.rpartition(".")
    return f"{_INSIDE.get(stem, stem)}.{leaf}" if stem else rest


FAMILY = Family(
    id="unet",
    title="a diffusion UNet",
    signs=("down_blocks.*.resnets.*.conv1", "up_blocks.*.resnets.*.conv1"),
    table={},
    model_types=(),
    rename=diffusers_name,
)
