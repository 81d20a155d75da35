"""Merges: planned, made, made again to compare."""

from __future__ import annotations

from pathlib import Path

from parentage.api.progress import Progress, silent
from parentage.merging.merge import MergeOptions, replay_merge, write_merge
from parentage.merging.merge import plan_merge as plan_merge_of
from parentage.merging.recipe_reading import read_recipe
from parentage.records.merge import MergeRecord
from parentage.records.rebuild import Rebuild
from parentage.records.recipe import Recipe

__all__ = ["merge", "plan_merge", "replay"]


def plan_merge(recipe: Recipe | Path, options: MergeOptions | None = None) -> MergeRecord:
    """What :func:`merge` would do, from headers alone. Raises ``ParentageError``."""
    wanted = read_recipe(recipe) if isinstance(recipe, Path) else recipe
    return plan_merge_of(wanted, options or MergeOptions())


def merge(
    recipe: Recipe | Path,
    out: Path,
    options: MergeOptions | None = None,
    *,
    progress: Progress = silent,
) -> MergeRecord:
    """Make the merge that a recipe, or the file of one, describes, in the new folder ``out``.

    The folder appears whole or not at all (docs/merging.md). Raises ``ParentageError``.
    """
    wanted = read_recipe(recipe) if isinstance(recipe, Path) else recipe
    return write_merge(wanted, out, options or MergeOptions(), progress)


def replay(
    recipe: Recipe | Path,
    suspect: str,
    options: MergeOptions | None = None,
    *,
    by_digest: bool = False,
    progress: Progress = silent,
) -> Rebuild:
    """Make a recipe's merge again and compare it with ``suspect``, element by element and file by file.

    ``by_digest``: by the SHA-256 that the suspect's place publishes, without reading its weights. Parents
    are hashed only where ``options`` ask for it. Raises ``ParentageError``.
    """
    wanted = read_recipe(recipe) if isinstance(recipe, Path) else recipe
    chosen = options or MergeOptions(digests=False)
    return replay_merge(wanted, suspect, chosen, read=not by_digest, progress=progress)
