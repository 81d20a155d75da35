"""The public Python interface to labels: what a merge says of itself, verified and written.

>>> from parentage import labels
>>> labels.verify_label(Path("merge/")).holds              # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from parentage.cards.keys import Signer, load_signer, load_verifier
from parentage.cards.label_check import check_label
from parentage.errors import UsageError
from parentage.merging.labelling import LabelOptions, label_from_evidence, label_from_recipe
from parentage.merging.merge import MergeOptions, threads
from parentage.merging.recipe_reading import read_recipe
from parentage.merging.run import Progress
from parentage.records.label import LabelCheck
from parentage.records.merge import MergeRecord
from parentage.records.recipe import Recipe

__all__ = ["LabelOptions", "MergeOptions", "Signer", "label", "load_signer", "verify_label"]


def _silent(stage: str, done: int, total: int) -> None:
    """Say nothing."""


def verify_label(
    folder: Path, *, key: Path | None = None, workers: int = 0, progress: Progress = _silent
) -> LabelCheck:
    """Compare what a merge's label says with its files; with ``key`` (public, in PEM) its signature too.

    Raises ``LabelError`` where there is no label, ``UsageError`` for a key that is none.
    """
    verifier = None if key is None else load_verifier(key)
    cores = threads(MergeOptions(workers=workers))
    return check_label(folder, verifier=verifier, workers=cores, progress=progress)


def label(
    folder: Path,
    *,
    recipe: Recipe | Path | None = None,
    evidence: Path | None = None,
    options: LabelOptions | None = None,
    progress: Progress = _silent,
) -> MergeRecord:
    """Label a merge that is there: by its recipe, which is carried out to see, or by an audit's evidence.

    One of ``recipe`` and ``evidence``. The numbers of the weights are never changed. Raises
    ``ParentageError``.
    """
    chosen = options or LabelOptions()
    if recipe is not None and evidence is None:
        wanted = read_recipe(recipe) if isinstance(recipe, Path) else recipe
        return label_from_recipe(folder, wanted, chosen, progress)
    if evidence is None or recipe is not None:
        raise UsageError(
            "a label is written from a recipe or from an audit's evidence",
            code="label-source",
            hint="give --recipe or --evidence, one of them",
        )
    return _from_evidence(folder, evidence, chosen, progress)


def _from_evidence(folder: Path, evidence: Path, options: LabelOptions, progress: Progress) -> MergeRecord:
    # What judges loads slowly, and a recipe needs none of it.
    from parentage import api
    from parentage.verdicts.judge import judge

    found = api.load_evidence(evidence)
    digest = hashlib.sha256(evidence.read_bytes()).hexdigest()
    return label_from_evidence(folder, found, judge(found), digest, options, progress)
