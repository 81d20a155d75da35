"""From a recipe to a merge that says what it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import RecipeError
from parentage.merging.inputs import InputDigests, MergeOptions, input_digests, open_models, threads
from parentage.merging.progress_state import check_output
from parentage.records.absence import Absent
from parentage.records.merge import MergedFile, MergeRecord
from parentage.records.rebuild import Rebuild
from parentage.records.recipe import ModelName, Recipe

if TYPE_CHECKING:
    from parentage.merging.run import Progress

__all__ = [
    "MergeOptions",
    "input_digests",
    "open_models",
    "plan_merge",
    "replay_merge",
    "threads",
    "write_merge",
]


def plan_merge(recipe: Recipe, options: MergeOptions) -> MergeRecord:
    """What a merge would do, from headers alone; inputs are not hashed."""
    from parentage.merging.plan import make_plan
    from parentage.merging.record import parents_of, placed, record_of
    from parentage.merging.shards import split

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
    from parentage.merging.plan import make_plan
    from parentage.merging.rebuild import rebuild
    from parentage.merging.record import parents_of

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
        with InputDigests(opened, options) as digests:
            # Compiled code comes with it: most of the start, and the parents are hashed meanwhile.
            from parentage.merging.writing import written

            return written(recipe, opened, out, options, digests, progress)
