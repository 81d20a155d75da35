"""Which tensors of a checkpoint are codes, and which are their scales; weights take the place of both.

Read: 8-bit floats and integers with ``weight_scale`` (a number in all, one a row, or one for each group of
columns) or ``weight_scale_inv`` (one for each tile, 128 x 128 unless the config says other) beside them,
compressed-tensors' packed integers, the layouts of ``packings``, and the scales that an ONNX graph names
(``TensorRef.scaled``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.formats.packings import (
    Layout,
    bytes_with_scales,
    find_layout,
    group_numbers,
    told_by_layouts,
    unpacked,
    zero_points,
)
from parentage.records.dtypes import DType
from parentage.records.tensors import Dequantised, Groups, Packed, Scaled, TensorRef

__all__ = ["Found", "apply_scales", "told_by"]

TILE = 128
_CODES = (DType.I8, DType.U8, DType.F8_E4M3, DType.F8_E5M2)
_SCALES = (DType.F64, DType.F32, DType.F16, DType.BF16)
_PACKED, _SHAPE = "_packed", "_shape"
# Codes that are packed densely; the usual ones first, for a short row may fit several.
_BITS = (4, 8, 2, 3, 5, 6, 7)
WORD = 32
Bits = NDArray[np.unsignedinteger]
Table = Mapping[str, TensorRef]
Told = Mapping[str, Bits]


@dataclass(frozen=True, slots=True)
class Found:
    """``weights``: all tensors but those that are parts of others, which are ``parts``."""

    weights: dict[str, TensorRef]
    parts: dict[str, TensorRef]
    oddities: tuple[str, ...]


def told_by(tensors: Table) -> list[TensorRef]:
    """Small tensors whose numbers say how others lie: to be read before ``apply_scales``."""
    return [*_shapes_wanted(tensors), *told_by_layouts(tensors)]


def _shapes_wanted(tensors: Table) -> list[TensorRef]:
    """Tensors of two numbers that say the shape of packed weights."""
    found = [tensors.get(f"{_stem(name)}{_SHAPE}") for name in tensors if name.endswith(_PACKED)]
    return [t for t in found if t is not None and t.elements == 2 and t.dtype is DType.I64]


def apply_scales(tensors: Table, config: Mapping[str, Any] | None, told: Told) -> Found:
    """Every tensor of codes whose scales are there, as the float32 weights that it stands for. ``told``:
    the numbers of ``told_by``, by name."""
    weights, parts = dict(tensors), dict[str, TensorRef]()
    left: list[str] = []
    tile = _tile(config)
    for name, tensor in tensors.items():
        made = _packed(name, tensor, tensors, told) or _named(tensor, tensors)
        made = made or _laid_out(tensor, find_layout(name, tensor, tensors, config, told))
        made = made or _beside(name, tensor, tensors, tile)
        if made is None:
            packed = name.endswith((_PACKED, ".qweight")) or f"{name}.absmax" in tensors
            if packed or _is_marlins(name, tensor, tensors):
                left.append(name)
            continue
        own, used = made
        # Two tensors of codes may share a scale, and a hostile file may call a scale a weight.
        if own.name in tensors and own.name != name:
            left.append(name)
            continue
        del weights[name]
        weights[own.name] = own
        parts.update({t.name: t for t in used if t.name != own.name})
    for name in parts:
        if name in weights and weights[name].dequantised is None:
            del weights[name]
    return Found(dict(sorted(weights.items())), parts, _told(weights, parts, left))


def _is_marlins(name: str, tensor: TensorRef, tensors: Table) -> bool:
    """``B`` (``B_24`` where it is sparse) with scales ``s``: tiles in the order of one kernel's threads."""
    stem, _, leaf = name.rpartition(".")
    return leaf in ("B", "B_24") and tensor.dtype is DType.I32 and f"{stem}.s" in tensors


def _told(weights: Table, parts: Table, left: list[str]) -> tuple[str, ...]:
    read = sum(t.dequantised is not None for t in weights.values())
    told = []
    if read:
        told.append(f"{read:,} tensors of codes are read through their scales ({len(parts):,} tensors)")
    if left:
        told.append(f"{len(left):,} tensors of packed codes are not read (the first is {left[0]})")
    return tuple(told)


Made = tuple[TensorRef, tuple[TensorRef, ...]]


def _named(tensor: TensorRef, tensors: Table) -> Made | None:
    """Scales that the file itself names."""
    how = tensor.scaled
    if how is None or tensor.dtype not in (*_CODES, DType.I16, DType.U16):
        return None
    scale = tensors.get(how.scale)
    zero = tensors.get(how.zero_point) if how.zero_point else None
    if scale is None or (how.zero_point and zero is None):
        return None
    if how.bits:
        return _laid_out(tensor, bytes_with_scales(tensor, how, scale, zero))
    return _made(tensor, scale, zero, how)


def _laid_out(tensor: TensorRef, found: Layout | None) -> Made | None:
    if found is None:
        return None
    own = replace(tensor, name=found.name, shape=found.shape)
    return _checked(own, found.how, found.kind, found.parts)


def _made(tensor: TensorRef, scale: TensorRef, zero: TensorRef | None, how: Scaled) -> Made | None:
    if len(how.blocks) != len(tensor.shape) or min(how.blocks, default=1) < 1:
        return None
    plain = replace(tensor, scaled=None)
    parts = (plain, scale) if zero is None else (plain, scale, zero)
    return _checked(tensor, Dequantised(plain, scale, zero, how.blocks), tensor.dtype.value, parts)


def _checked(own: TensorRef, how: Dequantised, kind: str, parts: tuple[TensorRef, ...]) -> Made | None:
    """The weights, where there is a scale and a zero point for each block."""
    blocks = 1
    for extent, block in zip(own.shape, how.blocks, strict=True):
        blocks *= -(-extent // block)
    blocks = blocks if how.groups is None else own.shape[0] * how.groups.count
    each = (how.scale,) if how.zero_point is None else (how.scale, how.zero_point)
    if how.scale.dtype not in _SCALES or any(p.elements != blocks for p in each) or not own.elements:
        return None
    made = replace(
        own,
        dtype=DType.F32,
        encoding=f"{kind} with scales",
        transposed=False,
        dequantised=how,
    )
    return made, parts


def _beside(name: str, tensor: TensorRef, tensors: Table, tile: tuple[int, int]) -> Made | None:
    """Scales by the names that tools give them."""
    if tensor.dtype not in _CODES or tensor.dtype is DType.U8 or not tensor.shape:
        return None
    inverse = tensors.get(f"{name}_scale_inv")
    scale = inverse or tensors.get(f"{name}_scale") or tensors.get(_image_scale(name))
    if scale is None or scale is tensor:
        return None
    blocks = _blocks(tensor.shape, scale, tile if inverse else None)
    return None if blocks is None else _made(tensor, scale, None, Scaled(scale.name, "", blocks))


def _image_scale(name: str) -> str:
    return f"{name.removesuffix('.weight')}.scale_weight"


def _blocks(
    shape: tuple[int, ...], scale: TensorRef, tile: tuple[int, int] | None
) -> tuple[int, ...] | None:
    """How many neighbours share a scale, from the two shapes; None where they do not fit."""
    if scale.elements == 1:
        return shape
    if len(shape) < 2:
        return None
    if tile is not None and len(scale.shape) == len(shape):
        own = (*(1 for _ in shape[:-2]), *tile)
        if scale.shape == tuple(-(-n // b) for n, b in zip(shape, own, strict=True)):
            return own
    rows = shape[:-1]
    if scale.shape in (rows, (*rows, 1)):
        return (*(1 for _ in rows), shape[-1])
    if len(scale.shape) == len(shape) and scale.shape[:-1] == rows and scale.shape[-1]:
        group = -(-shape[-1] // scale.shape[-1])
        if shape[-1] == group * scale.shape[-1]:
            return (*(1 for _ in rows), group)
    return None


def _packed(name: str, tensor: TensorRef, tensors: Table, told: Told) -> Made | None:
    """compressed-tensors' codes, made unsigned, in dense words; zero points too, down the columns."""
    if not name.endswith(_PACKED) or tensor.dtype is not DType.I32 or len(tensor.shape) != 2:
        return None
    stem = _stem(name)
    scale, size = tensors.get(f"{stem}_scale"), tensors.get(f"{stem}{_SHAPE}")
    if scale is None or size is None or size.name not in told or size.elements != 2:
        return None
    shape, words = _shape_from(told[size.name]), tensor.shape[-1]
    bits = next((b for b in _BITS if -(-shape[1] * b // WORD) == words), None)
    if bits is None or shape[0] != tensor.shape[0] or min(shape) < 1:
        return None
    codes = unpacked(name, shape, Packed(tensor, bits))
    zero, index = tensors.get(f"{stem}_zero_point"), tensors.get(f"{stem}_g_idx")
    how = _grouped(codes, scale, zero, index, told)
    if how is None:
        return None
    parts = (tensor, scale, size, *(t for t in (zero, index) if t is not None))
    return _checked(replace(tensor, name=stem, shape=shape), how, f"I{bits}", parts)


def _grouped(
    codes: TensorRef, scale: TensorRef, zero: TensorRef | None, index: TensorRef | None, told: Told
) -> Dequantised | None:
    bits = codes.packed.bits if codes.packed else 0
    blocks, groups = _blocks(codes.shape, scale, None), None
    if index is not None and len(scale.shape) == 2:
        count = scale.shape[1]
        numbers = group_numbers(index, codes.shape[1], count, told)
        # Numbers of -1 say that columns stand in their order.
        unset = index.name in told and bool((told[index.name].view(np.int32) == -1).all())
        if numbers is not None:
            groups, blocks = Groups(numbers, count), (1, codes.shape[1])
        elif not unset:
            return None
    if blocks is None:
        return None
    if zero is None:
        return Dequantised(codes, scale, None, blocks, zero=2 ** (bits - 1), groups=groups)
    across = scale.elements // codes.shape[0] if scale.elements > 1 else 0
    stored = zero_points(zero, codes.shape[0], across, bits) if across else None
    return None if stored is None else Dequantised(codes, scale, stored, blocks, groups=groups)


def _stem(name: str) -> str:
    return name.removesuffix(_PACKED)


def _tile(config: Mapping[str, Any] | None) -> tuple[int, int]:
    """``weight_block_size`` of the config, or the usual one."""
    told = (config or {}).get("quantization_config")
    size = told.get("weight_block_size") if isinstance(told, dict) else None
    good = isinstance(size, list) and len(size) == 2 and all(type(n) is int and 0 < n < 2**31 for n in size)
    return (size[0], size[1]) if good and isinstance(size, list) else (TILE, TILE)


def _shape_from(bits: Bits) -> tuple[int, int]:
    """Two 64-bit numbers as a shape; zeros where they are none."""
    rows, columns = (int(n) for n in bits.view(np.int64))
    return (rows, columns) if 0 <= rows < 2**40 and 0 <= columns < 2**40 else (0, 0)
