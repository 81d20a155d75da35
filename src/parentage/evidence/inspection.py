"""Look into one checkpoint: its files, its tensors by role and layer, and what is odd about them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.roles import role_of
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.declared import declared_sources
from parentage.checkpoints.digests import ShardDigest, digest_shard
from parentage.checkpoints.licence_names import is_licence_file
from parentage.engines.threads import map_ordered
from parentage.evidence.sampling.positions import Sampling, plan_sample
from parentage.evidence.sampling.reading import recast
from parentage.numerics.storage.formats import to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.inspection import (
    ComponentSummary,
    InspectedTensor,
    Inspection,
    InspectionTotal,
    Numbers,
    SideFile,
    WeightFile,
)
from parentage.records.tensors import ShardRef, TensorRef

__all__ = ["inspect_checkpoint"]

# Sixteen runs of 256: a float32 tensor that is not bf16 shows it in the first few numbers.
SAMPLE = 4096
PART = 2**20
MEBIBYTE = 2**20
# Narrower dtypes first: the first that holds all numbers is named.
NARROWER = {DType.F64: (DType.BF16, DType.F16, DType.F32), DType.F32: (DType.BF16, DType.F16)}
NOT_HASHED = Absent("not hashed: --digests was not given")
INTEGERS = Absent("integers")
EMPTY = Absent("no elements")
LISTED = 8
APART = ("vision", "mtp")
# Two tensors of few numbers can agree by chance or by how they began.
ALIKE = 4096
DECLARED_DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}
CONFIG_KEYS = (
    "architectures",
    "model_type",
    "torch_dtype",
    "dtype",
    "num_hidden_layers",
    "n_layer",
    "num_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "num_experts",
    "num_local_experts",
    "vocab_size",
    "max_position_embeddings",
    "tie_word_embeddings",
    "transformers_version",
    "_name_or_path",
)
Progress = Callable[[str, int, int], None]


def _silent(stage: str, done: int, total: int) -> None:
    """No progress."""


def inspect_checkpoint(
    checkpoint: Checkpoint, *, digests: bool, workers: int = 1, progress: Progress = _silent
) -> Inspection:
    """Describe a checkpoint from its headers, side files and a small sample of each tensor.

    ``digests``: read everything, for SHA-256 by file, a checksum by tensor, and numbers that count
    all elements. Memory does not depend on the size of a tensor.
    """
    hashed = _digests(checkpoint, workers, progress) if digests else {}
    checksums = {name: crc for found in hashed.values() for name, crc in found.checksums.items()}
    tensors = tuple(_tensors(checkpoint, checksums, digests, workers, progress))
    revision, config = checkpoint.revision, _config(checkpoint.config)
    return Inspection(
        locator=checkpoint.locator,
        revision=Absent("a local folder has no revision") if revision is None else revision,
        total=InspectionTotal(
            tensors=len(tensors),
            layers=len(_layers(tensors)),
            elements=sum(t.elements for t in tensors),
            size=sum(t.size for t in tensors),
        ),
        weight_files=tuple(_weight_file(checkpoint, s, hashed.get(s.name)) for s in checkpoint.shards),
        side_files=tuple(_side_file(checkpoint, name) for name in checkpoint.files),
        config=config,
        metadata=dict(checkpoint.metadata),
        declared=declared_sources(checkpoint),
        oddities=(*checkpoint.oddities, *_oddities(tensors, config)),
        components=tuple(_components(tensors)),
        tensors=tensors,
    )


def _digests(checkpoint: Checkpoint, workers: int, progress: Progress) -> dict[str, ShardDigest]:
    total, done, found = sum(s.size for s in checkpoint.shards) // MEBIBYTE, 0, {}

    def work(shard: ShardRef) -> ShardDigest:
        return digest_shard(checkpoint, shard)

    shards = checkpoint.shards
    for shard, digest in zip(shards, map_ordered(work, shards, workers=workers), strict=True):
        found[shard.name] = digest
        done += shard.size
        progress("hashing (MiB)", done // MEBIBYTE, total)
    return found


def _weight_file(checkpoint: Checkpoint, shard: ShardRef, digest: ShardDigest | None) -> WeightFile:
    count = sum(t.shard == shard.name for t in checkpoint.tensors.values())
    sha256 = NOT_HASHED if digest is None else digest.sha256
    return WeightFile(shard.name, shard.size, shard.header_bytes, count, sha256)


def _side_file(checkpoint: Checkpoint, name: str) -> SideFile:
    size = checkpoint.side_files.get(name)
    return SideFile(name, _kind(name), Absent("its size is not told") if size is None else size)


def _kind(name: str) -> str:
    if name.endswith(".jinja"):
        return "template"
    if is_licence_file(name):
        return "licence"
    known = {"README.md": "card", "mergekit_config.yml": "recipe"}
    if name in known:
        return known[name]
    return "config" if name.endswith("config.json") and not name.startswith("tokenizer") else "tokenizer"


def _config(config: Mapping[str, Any] | None) -> Mapping[str, Any] | Absent:
    if config is None:
        return Absent("no config.json that can be read")
    inner = config.get("text_config")
    # A model of several kinds of input keeps its language model's entries one level down.
    both = {**inner, **config} if isinstance(inner, dict) else config
    return {key: both[key] for key in CONFIG_KEYS if key in both and _plain(both[key])}


def _plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= LISTED and all(isinstance(v, str) for v in value)
    return isinstance(value, (str, bool, int)) or (isinstance(value, float) and math.isfinite(value))


def _tensors(
    checkpoint: Checkpoint,
    checksums: Mapping[str, str],
    full: bool,
    workers: int,
    progress: Progress,
) -> Iterator[InspectedTensor]:
    refs = list(checkpoint.tensors.values())

    def work(ref: TensorRef) -> Numbers | Absent:
        return _numbers(checkpoint, ref, full)

    for k, (ref, numbers) in enumerate(
        zip(refs, map_ordered(work, refs, workers=workers), strict=True), start=1
    ):
        role = role_of(ref.name)
        yield InspectedTensor(
            name=ref.name,
            role=role.role,
            component=role.component,
            layer=Absent("not in a layer") if role.layer is None else role.layer,
            dtype=ref.stored_as,
            shape=tuple(ref.shape),
            elements=ref.elements,
            size=ref.nbytes,
            file=ref.shard,
            begin=ref.begin,
            end=ref.end,
            checksum=checksums.get(ref.name, NOT_HASHED),
            numbers=numbers,
        )
        progress("reading tensors", k, len(refs))


def _numbers(checkpoint: Checkpoint, ref: TensorRef, full: bool) -> Numbers | Absent:
    if ref.elements == 0 or not ref.dtype.is_float:
        return EMPTY if ref.elements == 0 else INTEGERS
    plan = plan_sample(ref.name, role_of(ref.name), ref.shape, Sampling(SAMPLE, 0))
    whole = full or plan.whole
    held = set(NARROWER.get(ref.dtype, ()))
    examined = nan = infinite = zeros = 0
    for values in _values(checkpoint, ref, full):
        finite = np.isfinite(values)
        missing = int(np.count_nonzero(np.isnan(values)))
        nan, examined = nan + missing, examined + values.size
        infinite += values.size - int(np.count_nonzero(finite)) - missing
        zeros += int(np.count_nonzero(values == 0))
        known = values[finite]
        held = {d for d in held if np.array_equal(recast(known, d), known)}
    # Zeros and what is not finite fit anywhere and say nothing of where the numbers come from.
    telling = examined > nan + infinite + zeros
    narrow = [d for d in NARROWER.get(ref.dtype, ()) if d in held and telling]
    effective = narrow[0] if narrow else ref.dtype
    carried = ref.encoding or effective.value
    return Numbers(examined, whole, carried, nan, infinite, zeros)


def _values(checkpoint: Checkpoint, ref: TensorRef, full: bool) -> Iterator[NDArray[np.float64]]:
    plan = plan_sample(ref.name, role_of(ref.name), ref.shape, Sampling(SAMPLE, 0))
    if not full:
        bits = checkpoint.read_blocks(ref, plan.starts, plan.length).reshape(-1)
        yield to_float64(bits, ref.dtype)
        return
    for start in range(0, ref.elements, PART):
        bits = checkpoint.read(ref, start, min(PART, ref.elements - start))
        yield to_float64(bits, ref.dtype)


def _components(tensors: Sequence[InspectedTensor]) -> Iterator[ComponentSummary]:
    for component, dtype in sorted({(t.component, t.dtype) for t in tensors}):
        inside = [t for t in tensors if (t.component, t.dtype) == (component, dtype)]
        numbers = [t.numbers for t in inside if isinstance(t.numbers, Numbers)]
        yield ComponentSummary(
            component=component,
            dtype=dtype,
            effective_dtypes=tuple(sorted({n.effective_dtype for n in numbers})),
            tensors=len(inside),
            layers=len(_layers(inside)),
            elements=sum(t.elements for t in inside),
            size=sum(t.size for t in inside),
        )


def _layers(tensors: Sequence[InspectedTensor]) -> set[int]:
    return {t.layer for t in tensors if isinstance(t.layer, int)}


def _oddities(tensors: Sequence[InspectedTensor], config: Mapping[str, Any] | Absent) -> Iterator[str]:
    yield from _told("no elements", [t.name for t in tensors if t.elements == 0])
    yield from _odd_numbers(tensors)
    # Vision towers and extra prediction heads number their layers on their own.
    yield from _odd_layers(_layers([t for t in tensors if t.component not in APART]), config)
    yield from _odd_dtypes(tensors, config)
    yield from _odd_copies(tensors)


def _told(what: str, names: Sequence[str]) -> Iterator[str]:
    """One line for each tensor, or for many."""
    yield from (f"{name}: {what}" for name in names[:LISTED])
    if len(names) > LISTED:
        yield f"and {len(names) - LISTED:,} more tensors: {what}"


def _odd_numbers(tensors: Sequence[InspectedTensor]) -> Iterator[str]:
    for t in tensors:
        n = t.numbers
        if isinstance(n, Absent):
            continue
        among = "" if n.whole else f" among the {n.examined:,} numbers examined"
        if n.nan or n.infinite:
            yield f"{t.name}: {n.nan:,} NaN and {n.infinite:,} infinite{among}"
        elif n.zeros == n.examined and not t.name.endswith(".bias"):
            yield f"{t.name}: nothing but zeros{among}"


def _odd_layers(layers: set[int], config: Mapping[str, Any] | Absent) -> Iterator[str]:
    if not layers:
        return
    # A hostile name may claim layer 999,999: gaps are counted, never listed one by one.
    gaps = max(layers) + 1 - len(layers)
    if gaps:
        yield f"{gaps:,} of the layers 0 to {max(layers):,} hold no tensor"
    if isinstance(config, Absent):
        return
    for key in ("num_hidden_layers", "n_layer", "num_layers"):
        said = config.get(key)
        if type(said) is int and said != len(layers):
            yield f"config.json says {key} {said:,}, the weights hold {len(layers):,} layers"


def _odd_dtypes(tensors: Sequence[InspectedTensor], config: Mapping[str, Any] | Absent) -> Iterator[str]:
    stored: Counter[str] = Counter()
    carried: Counter[str] = Counter()
    for t in tensors:
        if isinstance(t.numbers, Numbers):
            stored[t.dtype] += t.elements
            carried[f"{t.dtype} files carry {t.numbers.effective_dtype}"] += (
                t.elements if t.numbers.effective_dtype != t.dtype else 0
            )
    whole = sum(stored.values())
    for words, count in sorted(carried.items()):
        if count and count * 2 > whole:
            yield f"{words} numbers: {count / whole:.1%} of all lie in such tensors"
    if isinstance(config, Absent):
        return
    said = config.get("torch_dtype", config.get("dtype"))
    named = DECLARED_DTYPES.get(said) if isinstance(said, str) else None
    if named is not None and stored:
        most = stored.most_common(1)[0][0]
        if most != named:
            yield f"config.json says {said}, most numbers are stored as {most}"


def _odd_copies(tensors: Sequence[InspectedTensor]) -> Iterator[str]:
    first: dict[tuple[str, int, str], str] = {}
    for t in tensors:
        telling = isinstance(t.numbers, Numbers) and t.numbers.zeros < t.numbers.examined
        if isinstance(t.checksum, Absent) or t.elements < ALIKE or not telling:
            continue
        key = (t.checksum, t.size, t.dtype)
        if key in first:
            yield f"{t.name}: the same checksum as {first[key]}"
        first.setdefault(key, t.name)
