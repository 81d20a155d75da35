"""Label a merge that somebody else made: from its recipe, which is carried out to see, or from an audit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from parentage import __version__
from parentage.cards.folder_files import digests_of
from parentage.cards.label_writing import check_unlabelled, subjects, write_label
from parentage.cards.signing import refuse_links, sign_folder
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.locators import PlaceKind, hub_model, place_kind, split_adapter
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import LabelError, UsageError
from parentage.merging.inputs import MergeOptions, input_digests, open_models, threads
from parentage.merging.plan import make_plan
from parentage.merging.rebuild import rebuild
from parentage.merging.recipe_writing import plain_recipe, recipe_digest
from parentage.merging.record import NO_SHARE, parents_of, record_of
from parentage.merging.recovered import (
    NotRecoveredError,
    place_of,
    recovered,
)
from parentage.merging.recovered_adapters import adapter_parents
from parentage.merging.run import Progress
from parentage.records.absence import Absent
from parentage.records.evidence import Evidence, ModelPin
from parentage.records.evidence import Replay as BlendReplay
from parentage.records.merge import Basis, MergedFile, MergeRecord, Parent
from parentage.records.rebuild import Rebuild
from parentage.records.recipe import Recipe
from parentage.records.relations import MERGES
from parentage.records.report import Replay, Report

__all__ = ["LabelOptions", "label_from_evidence", "label_from_recipe"]

# The relation of a base into which adapters were merged.
ADAPTED: Final = "adapter-fine-tune"
NO_LICENCE: Final = Absent("an audit does not record licences")
NO_ID: Final = Absent("its place does not say what it is called")
NOT_READ: Final = Absent("the label was written from an audit: nothing was merged")
NOT_LOOKED: Final = Absent("no audit looked for training after the merge")


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """``headers``: also in the weight files' metadata; ``replacing``: a label that is there;
    ``unproven``: label although the recipe does not make every bit, and say so."""

    merge: MergeOptions = field(default_factory=MergeOptions)
    headers: bool = False
    replacing: bool = False
    unproven: bool = False


def label_from_recipe(
    folder: Path, recipe: Recipe, options: LabelOptions, progress: Progress
) -> MergeRecord:
    """Carry the recipe out, compare with the folder's weights, and label them.

    Raises ``LabelError`` (``label-not-proven``) where a bit differs, unless ``unproven``; what merging and
    writing raise.
    """
    _check_folder(folder, options)
    workers = threads(options.merge)
    with open_models(recipe) as opened, open_checkpoint(folder) as found:
        plan = make_plan(recipe, opened, profile=options.merge.profile, seed=options.merge.seed)
        parents = parents_of(plan, opened, input_digests(opened, options.merge, progress))
        seen = rebuild(plan, parents, found, read=True, workers=workers, progress=progress)
        if not (seen.holds or options.unproven):
            raise LabelError(
                f"the recipe does not make these weights: {_share(seen)}",
                code="label-not-proven",
                where=str(folder),
                hint="parentage replay says what differs; --unproven writes a label that says so",
            )
        files = _own_files(folder, found, workers, progress)
        beside = subjects(folder, list(found.files), workers=workers, progress=progress)
        record = record_of(plan, parents, files)
    basis = Basis("replayed" if seen.holds else "stated", seen.matches, seen.elements, NOT_LOOKED)
    notes = (*record.notes, *(f"{u.tensor}: not compared: {u.reason}" for u in seen.unmatched))
    record = replace(record, basis=basis, notes=notes)
    return _written(folder, record, beside, options, progress)


def label_from_evidence(
    folder: Path,
    found: Evidence,
    report: Report,
    evidence_sha256: str,
    options: LabelOptions,
    progress: Progress,
) -> MergeRecord:
    """Label the suspect of an audit with the recipe that was recovered, and no more than that.

    Raises ``LabelError``: ``label-not-supported`` (the verdict is no supported merge by a replayed recipe),
    ``label-no-digests`` (nothing ties the evidence to files), ``label-other-model`` (these are others);
    ``NotRecoveredError``.
    """
    _check_folder(folder, options)
    adapters = report.verdict.relation == ADAPTED and report.verdict.status == "supported"
    if not adapters:
        _check_supported(folder, report)
    told = recovered(found)
    recipe = told.recipe
    if adapters and not told.adapters:
        raise _unsupported(folder, report, "which adapters were merged into it")
    if not adapters and recipe.method != method_of(report):
        # What the verdict rests on is not what can be written down as a recipe.
        raise NotRecoveredError(
            f"the verdict is one of {method_of(report)}, and no recipe of it was recovered",
            hint="--recipe labels from a recipe",
        )
    workers = threads(options.merge)
    with open_checkpoint(folder) as opened:
        files = _own_files(folder, opened, workers, progress)
        _check_same(found.models[0], files, folder)
        beside = subjects(folder, list(opened.files), workers=workers, progress=progress)
        written = sum(t.nbytes for t in opened.tensors.values())
    record = MergeRecord(
        tool={"name": "parentage", "version": __version__},
        recipe=plain_recipe(recipe),
        recipe_sha256=recipe_digest(recipe),
        method=recipe.method,
        profile=str(recipe.profile),
        seed=recipe.seed or 0,
        parents=tuple(adapter_parents(found, recipe) if adapters else _parents(found, recipe)),
        merged=told.tensors,
        copied=(),
        dropped=(),
        notes=tuple(_notes(found, report)),
        bytes_read=NOT_READ,
        bytes_written=written,
        files=files,
        basis=Basis(
            "recovered",
            told.matches,
            told.informative,
            report.post_training.status,
            evidence_sha256,
        ),
    )
    return _written(folder, record, beside, options, progress)


def _check_supported(folder: Path, report: Report) -> None:
    supported = report.verdict.status == "supported" and report.verdict.relation in MERGES
    replayed = isinstance(report.replay, Replay) and report.replay.parameters.get("established") is True
    if supported and replayed:
        return
    raise _unsupported(
        folder, report, "its recipe by replay, only its pattern" if supported else "a merge supported"
    )


def _unsupported(folder: Path, report: Report, lacking: str) -> LabelError:
    return LabelError(
        f"the audit does not find {lacking}: {report.verdict.sentence}",
        code="label-not-supported",
        where=str(folder),
        hint="a label says no more than the evidence does; --recipe labels from a recipe",
    )


def method_of(report: Report) -> str:
    """The method of the replay that the verdict rests on."""
    return "" if isinstance(report.replay, Absent) else report.replay.method


def _written(
    folder: Path, record: MergeRecord, beside: Mapping[str, str], options: LabelOptions, progress: Progress
) -> MergeRecord:
    record = write_label(folder, record, beside, headers=options.headers, replacing=options.replacing)
    if options.merge.signer is not None:
        sign_folder(
            folder,
            options.merge.signer,
            name=folder.absolute().name,
            known={f.name: str(f.sha256) for f in record.files},
            workers=threads(options.merge),
            progress=progress,
        )
    return record


def _check_folder(folder: Path, options: LabelOptions) -> None:
    if not folder.is_dir():
        raise UsageError(
            "a label is written into a folder", code="label-no-folder", where=str(folder), hint="name one"
        )
    check_unlabelled(folder, replacing=options.replacing)
    if options.merge.signer is not None:
        refuse_links(folder)


def _own_files(folder: Path, found: Checkpoint, workers: int, progress: Progress) -> tuple[MergedFile, ...]:
    names = [shard.name for shard in found.shards]
    digests = digests_of(folder, names, workers=workers, progress=progress)
    return tuple(MergedFile(s.name, s.size, digests[s.name]) for s in found.shards)


def _share(seen: Rebuild) -> str:
    apart = f"; {len(seen.unmatched):,} tensors could not be compared" if seen.unmatched else ""
    return f"{seen.matches:,} of {seen.elements:,} elements match{apart}"


def _check_same(pin: ModelPin, files: Sequence[MergedFile], folder: Path) -> None:
    """The evidence speaks of these very files."""
    pinned = [s.sha256 for s in pin.shards]
    if not pinned or any(isinstance(digest, Absent) for digest in pinned):
        raise LabelError(
            "the evidence pins no SHA-256 of the suspect's files, so that it may be of any model",
            code="label-no-digests",
            where=str(folder),
            hint="audit again without --no-digests, or with --full over a network",
        )
    if sorted(map(str, pinned)) != sorted(str(f.sha256) for f in files):
        raise LabelError(
            f"the evidence is of other files: it examined {pin.name}",
            code="label-other-model",
            where=str(folder),
            hint="audit these files, or name the folder that was audited",
        )


def _parents(found: Evidence, recipe: Recipe) -> Iterator[Parent]:
    shares: Mapping[int, float] = {}
    if recipe.method == "linear":
        replay = next(r for r in found.replays if r.subject == 0)
        shares = dict(zip(replay.parents, _shares(found, replay, recipe), strict=True))
    places = {place_of(pin): k for k, pin in reversed(list(enumerate(found.models)))}
    for source in recipe.named_models():
        index = places[str(source)]
        pin = found.models[index]
        hub = split_adapter(pin.locator) is None and place_kind(pin.locator) is PlaceKind.HUB
        yield Parent(
            name=str(source),
            locator=pin.locator,
            revision=pin.revision,
            id=hub_model(pin.locator).repository if hub else NO_ID,
            licence=NO_LICENCE,
            share=shares.get(index, NO_SHARE),
            base=source in {r.base_model for r in (recipe, *(p.recipe for p in recipe.parts))},
            files=tuple(MergedFile(s.name, s.size, s.sha256) for s in pin.shards),
        )


def _shares(found: Evidence, replay: BlendReplay, recipe: Recipe) -> list[float]:
    """Each parent's weight, averaged over the numbers of the tensors that were compared."""
    elements = {t.name: t.elements for t in found.tensors}
    divided = recipe.parameters["normalize"].clauses[0].value is True
    sums, whole = [0.0] * len(replay.parents), 0
    for tensor in replay.tensors:
        weights = tensor.weights if len(tensor.weights) == len(sums) else replay.weights
        total = sum(weights) if divided else 1.0
        count = elements.get(tensor.name, 0)
        sums = [s + w / (total or 1.0) * count for s, w in zip(sums, weights, strict=True)]
        whole += count
    return [round(s / whole, 12) for s in sums] if whole else list(replay.weights)


def _notes(found: Evidence, report: Report) -> Iterator[str]:
    yield f"verdict of the audit: {report.verdict.sentence}"
    for parent in report.verdict.parents:
        if not isinstance(parent.weight, Absent):
            weight = parent.weight
            yield (
                f"weight of {parent.name}: {weight.estimate:.9g}, between {weight.low:.9g} and "
                f"{weight.high:.9g} at {100 * weight.level:g} %"
            )
    cover = report.coverage
    yield (
        f"{cover.elements_examined:,} of {cover.elements:,} numbers were examined, in "
        f"{cover.tensors_examined:,} of {cover.tensors:,} tensors"
    )
    yield from (f"limit: {text}" for text in report.verdict.limits)
