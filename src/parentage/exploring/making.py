"""Merges that are made to be measured and then thrown away, one at a time, by the merger itself."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parentage.checkpoints.opening import open_checkpoint
from parentage.merging.merge import MergeOptions, write_merge
from parentage.records.recipe import Clause, ModelName, Recipe, Setting, SourceSlice
from parentage.training.perturbing import digests_of

__all__ = ["blend", "file_digests", "passing_merge"]


def blend(first: str, second: str, weight: float) -> Recipe:
    """``weight`` of the first and the rest of the second, in float32, rounded once to what is stored."""
    shares = ((first, weight), (second, 1.0 - weight))
    return Recipe(
        method="linear",
        models=tuple(
            SourceSlice(ModelName(place), parameters={"weight": Setting((Clause(share),))})
            for place, share in shares
        ),
    )


@contextmanager
def passing_merge(recipe: Recipe, folder: Path) -> Iterator[str]:
    """The merge in a folder, which is gone afterwards. Raises what making a merge raises.

    What a kill left there is no merge of this recipe, perhaps; it is made anew.
    """
    for left in (folder, folder.with_name(f"{folder.name}.partial")):
        shutil.rmtree(left, ignore_errors=True)
    try:
        write_merge(recipe, folder, MergeOptions(digests=False), lambda stage, done, total: None)
        yield str(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def file_digests(locator: str) -> dict[str, str]:
    """SHA-256 of a model's weight files, by name. Raises what opening raises."""
    with open_checkpoint(locator) as found:
        return digests_of(found)
