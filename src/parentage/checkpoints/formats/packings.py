"""Packed weights by the names that tools give their parts: GPTQ, AWQ, bitsandbytes, compressed-tensors.

GPTQ (``auto_gptq``'s and ``gptqmodel``'s linear layers): ``qweight`` [in · bits / 32, out], ``qzeros``
[groups, out · bits / 32], ``scales`` [groups, out], ``g_idx`` [in]; zero points are stored less one unless
the config's ``checkpoint_format`` is ``gptq_v2``. AWQ (``awq``'s ``WQLinear_GEMM``): ``qweight``
[in, out · 4 / 32], numbers of a word in the order 0, 2, 4, 6, 1, 3, 5, 7. bitsandbytes: its
``functional.QuantState`` and ``nn.Linear8bitLt``. Whatever does not fit to the last number is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.checkpoints.formats.packed import words_for
from parentage.records.dtypes import DType
from parentage.records.tensors import Dequantised, Groups, Packed, Scaled, TensorRef

__all__ = [
    "Layout",
    "bytes_with_scales",
    "find_layout",
    "group_numbers",
    "told_by_layouts",
    "unpacked",
    "zero_points",
]

Bits = NDArray[np.unsignedinteger]
Table = Mapping[str, TensorRef]
Told = Mapping[str, Bits]
WORD = 32
# The k-th number of a word of AWQ's is column (0, 2, 4, 6, 1, 3, 5, 7)[k] of eight: where each column lies.
AWQ_ORDER = (0, 4, 1, 5, 2, 6, 3, 7)
# bitsandbytes puts the first of two numbers into the upper half of a byte.
UPPER_FIRST = (1, 0)
QWEIGHT, STATE = ".qweight", ".quant_state.bitsandbytes__"
FOUR_BITS = ("nf4", "fp4")
MOST_GROUPED = 2**20
MOST_STATE = 2**16
# bitsandbytes multiplies by this float32 in place of dividing by 127.
OVER_127 = 7.874015718698502e-3
_FLOATS = (DType.F64, DType.F32, DType.F16, DType.BF16)


@dataclass(frozen=True, slots=True)
class Layout:
    """A weight ``name`` [shape] that is read through ``how``; ``parts``: stored tensors it is made of."""

    name: str
    shape: tuple[int, ...]
    how: Dequantised
    kind: str
    parts: tuple[TensorRef, ...]


def told_by_layouts(tensors: Table) -> list[TensorRef]:
    """Small tensors whose numbers say how others lie: to be read before ``find_layout``."""
    found = []
    for name, ref in tensors.items():
        grouped = name.endswith("g_idx") and ref.dtype is DType.I32 and 0 < ref.elements <= MOST_GROUPED
        state = STATE in name and ref.dtype is DType.U8 and 0 < ref.elements <= MOST_STATE
        tabled = name.endswith("quant_map") and ref.dtype is DType.F32 and ref.elements in (16, 256)
        found += [ref] if grouped or state or tabled else []
    return found


def find_layout(
    name: str, tensor: TensorRef, tensors: Table, config: Mapping[str, Any] | None, told: Told
) -> Layout | None:
    """What a stored tensor of codes is with the tensors beside it; None where it is no such or they do not
    fit."""
    if name.endswith(QWEIGHT):
        return _words_with_zeros(name.removesuffix(QWEIGHT), tensor, tensors, config, told)
    if tensor.dtype is DType.I8 and len(tensor.shape) == 2:
        return _eight_bits(name, tensor, tensors)
    return next(filter(None, (_four_bits(name, tensor, k, tensors, told) for k in FOUR_BITS)), None)


def unpacked(name: str, shape: tuple[int, ...], how: Packed) -> TensorRef:
    """Packed numbers as a tensor of bytes."""
    return TensorRef(name, DType.U8, shape, "", 0, 0, packed=how)


def _words_with_zeros(
    stem: str, words: TensorRef, tensors: Table, config: Mapping[str, Any] | None, told: Told
) -> Layout | None:
    """GPTQ, or AWQ, told by their shapes."""
    zeros, scales = tensors.get(f"{stem}.qzeros"), tensors.get(f"{stem}.scales")
    if zeros is None or scales is None or scales.dtype not in _FLOATS:
        return None
    two = all(len(t.shape) == 2 and t.elements for t in (words, zeros, scales))
    if not two or words.dtype is not DType.I32 or zeros.dtype is not DType.I32:
        return None
    (groups, outer), rest = scales.shape, zeros.shape[1] * WORD
    if zeros.shape[0] != groups or rest % outer or not 1 <= rest // outer <= 8:
        return None
    bits, gptq = rest // outer, words.shape[1] == outer
    if gptq:
        if words.shape[0] * WORD % bits:
            return None
        shape = (outer, words.shape[0] * WORD // bits)
        packed = Packed(words, bits, 0, (), True)
    elif bits == 4 and words.shape[1] == zeros.shape[1]:
        shape = (outer, words.shape[0])
        packed = Packed(words, bits, 1, AWQ_ORDER, True)
    else:
        return None
    return _grouped(stem, shape, packed, zeros, scales, _taken_off(config) if gptq else 0, tensors, told)


def _taken_off(config: Mapping[str, Any] | None) -> int:
    """Besides the stored zero point."""
    said = (config or {}).get("quantization_config")
    second = isinstance(said, dict) and said.get("checkpoint_format") == "gptq_v2"
    return 0 if second else 1


def _grouped(
    stem: str,
    shape: tuple[int, int],
    packed: Packed,
    zeros: TensorRef,
    scales: TensorRef,
    zero: int,
    tensors: Table,
    told: Told,
) -> Layout | None:
    """With scales and zero points [groups, out] of groups of inputs."""
    count, (outer, inner) = scales.shape[0], shape
    index = tensors.get(f"{stem}.g_idx")
    width, groups = -(-inner // count), None
    if index is not None:
        found = group_numbers(index, inner, count, told)
        if found is None:
            return None
        straight = np.array_equal(found, np.arange(inner) // width)
        groups = None if straight else Groups(found, count)
    if groups is None and -(-inner // width) != count:
        return None
    across = Packed(zeros, packed.bits, 1, packed.order, True)
    how = Dequantised(
        codes=unpacked(f"{stem}.qweight", shape, packed),
        scale=_turned(scales),
        zero_point=unpacked(zeros.name, (outer, count), across),
        blocks=(1, width if groups is None else inner),
        zero=zero,
        groups=groups,
    )
    tool = "AWQ" if packed.order else "GPTQ"
    parts = (packed.source, zeros, scales, *((index,) if index is not None else ()))
    return Layout(f"{stem}.weight", shape, how, f"{tool} I{packed.bits}", parts)


def group_numbers(index: TensorRef, inner: int, count: int, told: Told) -> NDArray[np.int64] | None:
    """The group of each input; None where it names one that is not there."""
    if index.name not in told or index.elements != inner:
        return None
    found = told[index.name].view(np.int32).astype(np.int64)
    return found if int(found.min()) >= 0 and int(found.max()) < count else None


def _turned(ref: TensorRef) -> TensorRef:
    """[groups, out] as [out, groups]; a vector lies the same both ways."""
    if min(ref.shape) < 2:
        return replace(ref, shape=ref.shape[::-1])
    return replace(ref, shape=ref.shape[::-1], transposed=True)


def _eight_bits(name: str, tensor: TensorRef, tensors: Table) -> Layout | None:
    """bitsandbytes' rows of int8: ``SCB`` is the largest size of a row."""
    scale = tensors.get(f"{name.removesuffix('.weight')}.SCB")
    if scale is None or scale.dtype is not DType.F32 or scale.elements != tensor.shape[0]:
        return None
    how = Dequantised(tensor, scale, None, (1, tensor.shape[1]), factor=OVER_127)
    beside = tensors.get(f"{name}_format")
    return Layout(name, tensor.shape, how, "I8", (tensor, scale, *((beside,) if beside else ())))


def _four_bits(name: str, tensor: TensorRef, kind: str, tensors: Table, told: Told) -> Layout | None:
    """bitsandbytes' blocks of numbers out of a table of sixteen, row by row without a break."""
    state, table = tensors.get(f"{name}{STATE}{kind}"), tensors.get(f"{name}.quant_map")
    largest = tensors.get(f"{name}.absmax")
    if state is None or table is None or largest is None or state.name not in told:
        return None
    said = _said(told[state.name])
    extents, block = _extents(said.get("shape")), _size(said.get("blocksize"))
    levels = _floats(table, told)
    if len(levels) != 16 or not block or not extents or extents[-1] % block:
        return None
    if tensor.nbytes * 2 != prod(extents):
        return None
    scale = _nested(name, largest, said, tensors, told)
    if scale is None:
        return None
    parts = [tensor, largest, table, state]
    raw = replace(tensor, dtype=DType.U8, shape=(tensor.nbytes,))
    codes = unpacked(name, (2 * tensor.nbytes,), Packed(raw, 4, 1, UPPER_FIRST))
    how = Dequantised(codes, scale, None, (*(1 for _ in extents[:-1]), block), table=levels)
    parts += [t for n in ("nested_absmax", "nested_quant_map") if (t := tensors.get(f"{name}.{n}"))]
    return Layout(name, extents, how, kind.upper(), tuple(parts))


def _said(bits: Bits) -> dict[str, Any]:
    try:
        found = json.loads(bits.astype(np.uint8).tobytes())
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _size(value: Any) -> int:
    """A whole number that may be an extent; else 0."""
    return value if type(value) is int and 0 < value < 2**40 else 0


def _extents(said: Any) -> tuple[int, ...]:
    """A shape of one to three extents; else empty."""
    found = tuple(_size(n) for n in said[:4]) if isinstance(said, list) else ()
    return found if 0 < len(found) < 4 and all(found) else ()


def _floats(table: TensorRef, told: Told) -> tuple[float, ...]:
    if table.name not in told:
        return ()
    found = told[table.name].view(np.float32)
    return tuple(float(v) for v in found) if np.isfinite(found).all() else ()


def _nested(
    name: str, largest: TensorRef, said: Mapping[str, Any], tensors: Table, told: Told
) -> TensorRef | None:
    """The blocks' scales: as they are, or themselves codes of a table with scales and an offset."""
    if largest.dtype is DType.F32:
        return largest
    table, scale = tensors.get(f"{name}.nested_quant_map"), tensors.get(f"{name}.nested_absmax")
    block, offset = _size(said.get("nested_blocksize")), said.get("nested_offset")
    if largest.dtype is not DType.U8 or table is None or scale is None or scale.dtype is not DType.F32:
        return None
    levels = _floats(table, told)
    if len(levels) != 256 or not block or not isinstance(offset, float) or not abs(offset) < 2.0**64:
        return None
    if scale.elements != -(-largest.elements // block):
        return None
    codes = replace(largest, shape=(largest.elements,))
    how = Dequantised(codes, scale, None, (block,), table=levels, added=offset)
    return replace(codes, dtype=DType.F32, encoding="U8 with scales", dequantised=how)


def zero_points(ref: TensorRef, rows: int, groups: int, bits: int) -> TensorRef | None:
    """compressed-tensors' zero points [out, groups], packed down the columns."""
    fits = len(ref.shape) == 2 and ref.shape == (words_for(rows, bits, WORD), groups)
    if ref.dtype is not DType.I32 or not fits:
        return None
    return unpacked(ref.name, (rows, groups), Packed(ref, bits, 0))


def bytes_with_scales(
    tensor: TensorRef, how: Scaled, scale: TensorRef, zero: TensorRef | None
) -> Layout | None:
    """Codes in bytes, row by row, as ``Scaled`` says; zero points in bytes are packed as they are."""
    (outer, inner), block = how.shape, how.blocks[-1]
    across = -(-inner // block)
    words = replace(tensor, shape=(outer, tensor.elements // outer), scaled=None)
    codes = unpacked(tensor.name, (outer, inner), Packed(words, how.bits))
    zero_point = None if zero is None else replace(zero, shape=(outer, across))
    if zero is not None and zero.dtype is DType.U8:
        stored = replace(zero, shape=(outer, zero.elements // outer))
        zero_point = unpacked(zero.name, (outer, across), Packed(stored, how.bits))
    off = 0 if zero is not None else 2 ** (how.bits - 1)
    made = Dequantised(codes, scale, zero_point, (1, block), zero=off)
    parts = (replace(tensor, scaled=None), scale, *(() if zero is None else (zero,)))
    return Layout(tensor.name, (outer, inner), made, f"U{how.bits}", parts)
