"""A planned merge, written: the weights in place, then everything beside them, then the folder's name."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.cards.labels import label_files, shard_metadata
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.merging.inputs import InputDigests, MergeOptions, threads
from parentage.merging.plan import make_plan
from parentage.merging.progress_state import NAME as STATE
from parentage.merging.progress_state import RunState
from parentage.merging.record import parents_of, record_of
from parentage.merging.rules_ahead import RulesAhead
from parentage.merging.run import Progress, load_kernels, write_shards
from parentage.merging.shards import Shard, index_of, split
from parentage.merging.side_files import side_files
from parentage.records.absence import Absent
from parentage.records.json_files import write_bytes
from parentage.records.merge import MergedFile, MergeRecord
from parentage.records.recipe import ModelName, Recipe

if TYPE_CHECKING:
    from parentage.cards.keys import Signer

__all__ = ["written"]


def written(
    recipe: Recipe,
    opened: Mapping[ModelName, Checkpoint],
    out: Path,
    options: MergeOptions,
    digests: InputDigests,
    progress: Progress,
) -> MergeRecord:
    """Plan the merge of opened models and write it to ``out``, which appears whole or not at all."""
    plan = make_plan(recipe, opened, profile=options.profile, seed=options.seed)
    beside = side_files(plan, opened)
    load_kernels(plan)
    with RulesAhead(plan.tensors) as rules:
        files = digests.result(progress)
        parents = parents_of(plan, opened, files)
        shards = split(plan.tensors, options.shard_bytes)
        metadata = shard_metadata(record_of(plan, parents))
        versions = [repr(parents), *_versions(opened, files)]
        state = RunState(out, _plan_digest(shards, metadata, parents_key="\n".join(versions)))
        try:
            made = write_shards(
                plan, shards, metadata, state, rules, workers=threads(options), progress=progress
            )
            record = record_of(plan, parents, made)
            _beside(state.folder, shards, beside, record)
            if options.signer is not None:
                _sign(state.folder, out, record, options, options.signer, progress)
            state.publish()
        except BaseException:
            state.abandon()
            raise
    return record


def _versions(
    opened: Mapping[ModelName, Checkpoint], files: Mapping[ModelName, Sequence[MergedFile]]
) -> Iterator[str]:
    """What tells a later run that inputs of which no digest is known are still those of this one."""
    for model, checkpoint in opened.items():
        for file in files[model]:
            if isinstance(file.sha256, Absent):
                yield checkpoint.version(file.name) or secrets.token_hex(16)


def _sign(
    folder: Path, out: Path, record: MergeRecord, options: MergeOptions, signer: Signer, progress: Progress
) -> None:
    """Before the folder takes its name, by which the signature calls it."""
    # A fifth of the start's imports, and most merges are not signed.
    from parentage.cards.signing import sign_folder

    for left in folder.glob("*.partial"):
        left.unlink()
    known = {f.name: f.sha256 for f in record.files if isinstance(f.sha256, str)}
    sign_folder(
        folder,
        signer,
        name=out.absolute().name,
        known=known,
        workers=threads(options),
        progress=progress,
        ignored=(STATE,),
    )


def _plan_digest(shards: Sequence[Shard], metadata: Mapping[str, str], parents_key: str) -> str:
    digest = hashlib.sha256(parents_key.encode())
    for shard in shards:
        digest.update(shard.name.encode() + shard.header(metadata))
    return digest.hexdigest()


def _beside(folder: Path, shards: Sequence[Shard], beside: dict[str, bytes], record: MergeRecord) -> None:
    """Index, config, tokenizer, labels: all small, written once the weights are there."""
    found = dict(beside)
    if len(shards) > 1:
        found["model.safetensors.index.json"] = index_of(shards, {}).encode()
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in beside.items()}
    found.update(label_files(record, digests))
    for name, data in found.items():
        if "/" in name or name.startswith("."):
            continue
        write_bytes(folder / name, data)
