"""From a recipe to a merge that says what it is made of."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.cards.labels import label_files, shard_metadata
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.checkpoints.opening import open_adapted, open_checkpoint
from parentage.engines.threads import map_ordered
from parentage.errors import InputMissingError, RecipeError
from parentage.merging.plan import make_plan
from parentage.merging.progress_state import NAME as STATE
from parentage.merging.progress_state import RunState, check_output
from parentage.merging.record import parents_of, placed, record_of
from parentage.merging.run import MEBIBYTE, Progress, write_shards
from parentage.merging.shards import DEFAULT_SHARD_BYTES, Shard, index_of, split
from parentage.merging.side_files import side_files
from parentage.records.absence import Absent
from parentage.records.json_files import write_bytes
from parentage.records.merge import NOT_HASHED, MergedFile, MergeRecord
from parentage.records.rebuild import Rebuild
from parentage.records.recipe import ModelName, Recipe
from parentage.records.tensors import ShardRef

if TYPE_CHECKING:
    from parentage.cards.keys import Signer
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = [
    "MergeOptions",
    "input_digests",
    "open_models",
    "plan_merge",
    "replay_merge",
    "threads",
    "write_merge",
]

NOT_PUBLISHED = Absent("its place publishes no digest")


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """``profile`` and ``seed`` go before the recipe's own; ``shard_bytes``: of tensors, a
    file; ``workers``: threads, 0: one a core; ``signer``: signs all that was written."""

    profile: str | None = None
    seed: int | None = None
    shard_bytes: int = DEFAULT_SHARD_BYTES
    digests: bool = True
    workers: int = 0
    signer: Signer | None = None


@contextmanager
def open_models(recipe: Recipe) -> Iterator[dict[ModelName, Checkpoint]]:
    """Every model that the recipe names, opened; headers alone are read."""
    with ExitStack() as stack:
        names = recipe.named_models()
        session = _session(stack, names)
        opened = {}
        for name in names:
            try:
                opened[name] = stack.enter_context(_open(name, session))
            except InputMissingError as error:
                raise InputMissingError(
                    f"the recipe's model {name}: {error.message}",
                    code=error.code,
                    where=error.where,
                    hint=error.hint,
                ) from None
        yield opened


def _open(name: ModelName, session: RemoteSession | None) -> Checkpoint:
    if name.adapter is None:
        return open_checkpoint(name.model, session=session)
    return open_adapted(name.model, name.adapter, session=session)


def threads(options: MergeOptions) -> int:
    """As many as were asked for, or one a core."""
    return options.workers or max(1, len(os.sched_getaffinity(0)))


def _session(stack: ExitStack, names: Sequence[ModelName]) -> RemoteSession | None:
    if all(place_kind(place) is PlaceKind.LOCAL for n in names for place in n.places):
        return None
    from parentage.checkpoints.remote.remote_session import RemoteSession

    session = RemoteSession()
    stack.callback(session.close)
    return session


def plan_merge(recipe: Recipe, options: MergeOptions) -> MergeRecord:
    """What a merge would do, from headers alone; inputs are not hashed."""
    with open_models(recipe) as opened:
        plan = make_plan(recipe, opened, profile=options.profile, seed=options.seed)
        shards = split(plan.tensors, options.shard_bytes)
        return record_of(plan, parents_of(plan, opened, _sizes(opened)), (), tuple(placed(shards)))


def _sizes(opened: Mapping[ModelName, Checkpoint]) -> dict[ModelName, list[MergedFile]]:
    unread = Absent("not hashed: nothing was read yet")
    return {
        model: [MergedFile(s.name, s.size, s.published_sha256 or unread) for s in c.shards]
        for model, c in opened.items()
    }


def replay_merge(
    recipe: Recipe, suspect: str, options: MergeOptions, *, read: bool, progress: Progress
) -> Rebuild:
    """Make the merge again, held against a model instead of written; ``read`` False: by the SHA-256 that
    the suspect's place publishes, without a look at its weights."""
    from parentage.merging.rebuild import rebuild

    with open_models(recipe) as opened, open_checkpoint(suspect) as found:
        plan = make_plan(recipe, opened, profile=options.profile, seed=options.seed)
        if not read and not all(s.published_sha256 for s in found.shards):
            raise RecipeError(
                "the suspect's place publishes no SHA-256 of its files",
                code="replay-no-digests",
                where=suspect,
                hint="leave --by-digest out: its weights are read then",
            )
        parents = parents_of(plan, opened, input_digests(opened, options, progress))
        return rebuild(plan, parents, found, read=read, workers=threads(options), progress=progress)


def write_merge(recipe: Recipe, out: Path, options: MergeOptions, progress: Progress) -> MergeRecord:
    """Make the merge in the new folder ``out``; it is there whole, or not at all.

    Raises ``RecipeError``, ``PlanError``, ``UsageError`` (the output), ``OutputError``, ``ReadError``.
    """
    with open_models(recipe) as opened:
        places = [place for name in opened for place in name.places]
        check_output(out, [p for p in places if place_kind(p) is PlaceKind.LOCAL])
        plan = make_plan(recipe, opened, profile=options.profile, seed=options.seed)
        beside = side_files(plan, opened)
        files = input_digests(opened, options, progress)
        parents = parents_of(plan, opened, files)
        shards = split(plan.tensors, options.shard_bytes)
        metadata = shard_metadata(record_of(plan, parents))
        versions = [repr(parents), *_versions(opened, files)]
        state = RunState(out, _plan_digest(shards, metadata, parents_key="\n".join(versions)))
        try:
            written = write_shards(
                plan, shards, metadata, state, workers=threads(options), progress=progress
            )
            record = record_of(plan, parents, written)
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


def input_digests(
    opened: Mapping[ModelName, Checkpoint], options: MergeOptions, progress: Progress
) -> dict[ModelName, list[MergedFile]]:
    """SHA-256 of every weight file: as published where it lies on a network, else computed."""
    items = [(model, c, s) for model, c in opened.items() for s in c.shards]
    total = sum(s.size for _, c, s in items if not c.remote) // MEBIBYTE
    done = 0
    found: dict[ModelName, list[MergedFile]] = {model: [] for model in opened}

    def work(item: tuple[ModelName, Checkpoint, ShardRef]) -> MergedFile:
        _, checkpoint, shard = item
        if checkpoint.remote:
            return MergedFile(shard.name, shard.size, shard.published_sha256 or NOT_PUBLISHED)
        digest = _sha256(checkpoint, shard) if options.digests else NOT_HASHED
        return MergedFile(shard.name, shard.size, digest)

    results = map_ordered(work, items, workers=threads(options))
    for (model, checkpoint, _), file in zip(items, results, strict=True):
        found[model].append(file)
        done += 0 if checkpoint.remote else file.size
        progress("hashing inputs (MiB)", done // MEBIBYTE, total)
    return found


def _sha256(checkpoint: Checkpoint, shard: ShardRef) -> str:
    whole = hashlib.sha256()
    for _, block in checkpoint.blocks(shard):
        whole.update(block)
    return whole.hexdigest()
