"""The report, version 1: what an audit concluded, as one file that any renderer can read.

This is the public contract: fields may be added, never renamed or given another meaning. An
estimate is always :class:`Estimate`, what is unknown is always :class:`Absent` with its reason.
Shares, consistencies and matches lie in 0..1; offsets are in units of the last place of the
suspect's dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.errors import EvidenceError
from parentage.records.absence import Absent
from parentage.records.codec import from_plain, to_plain
from parentage.records.estimate import Estimate
from parentage.records.findings import (
    NOT_MEASURED,
    ConsistencyCurve,
    ControlCurve,
    Heterogeneity,
    LayerOrigin,
    LayerPlace,
    LeastSquares,
    MergeTest,
    PartDifference,
    PreviousUpload,
    QuietRows,
    RecipeCandidate,
    Reordering,
    Spectrum,
    Stratum,
    Tree,
    TreeBranch,
)
from parentage.records.json_files import load_json
from parentage.records.reading import Reading
from parentage.records.report_parts import (
    Coverage,
    ExcludedCause,
    ExpertsSeen,
    NetworkCost,
    NotExamined,
    PostTraining,
    one_of,
)

__all__ = [
    "NOT_MEASURED",
    "SCHEMA",
    "VERSION",
    "ArithmeticMatch",
    "ConsistencyCurve",
    "Control",
    "ControlCurve",
    "Coverage",
    "Direction",
    "ExcludedCause",
    "ExpertsSeen",
    "Heterogeneity",
    "LayerOrigin",
    "LayerPlace",
    "LeastSquares",
    "MergeTest",
    "ModelInput",
    "NetworkCost",
    "NotExamined",
    "Novelty",
    "PartDifference",
    "PartVerdict",
    "PostTraining",
    "PreviousUpload",
    "QuietRows",
    "RecipeCandidate",
    "Reordering",
    "Replay",
    "Report",
    "Rival",
    "Spectrum",
    "Stratum",
    "Suspect",
    "TensorVerdict",
    "Tree",
    "TreeBranch",
    "Verdict",
    "VerdictParent",
    "from_json",
    "load_report",
    "to_json",
]

SCHEMA = "parentage.report"
VERSION = 1
VERDICT_STATUSES = ("supported", "contradicted", "undetermined")


@dataclass(frozen=True, slots=True)
class Suspect:
    """The model under examination; ``digests`` maps file names to SHA-256 in hexadecimal.

    ``dtypes``: the number formats that its tensors are stored in.
    """

    locator: str
    revision: str | Absent
    digests: Mapping[str, str | Absent] | Absent
    dtypes: tuple[str, ...] | Absent = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class ModelInput:
    """Another model that was read; ``role`` is parent, base, control or previous."""

    name: str
    role: str
    locator: str
    revision: str | Absent
    digests: Mapping[str, str | Absent] | Absent
    dtypes: tuple[str, ...] | Absent = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class VerdictParent:
    """A parent and its share in the suspect."""

    name: str
    weight: Estimate | Absent


@dataclass(frozen=True, slots=True)
class Rival:
    """Another explanation. ``why_excluded`` Absent: it is still alive, the reason says why."""

    relation: str
    why_excluded: str | Absent


@dataclass(frozen=True, slots=True)
class PartVerdict:
    """The story of one part of a suspect whose parts tell different ones."""

    where: str
    relation: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the suspect is related to the other models; relation ids are in ``docs/relations.md``.
    ``given``: what it takes as known that the evidence does not show."""

    relation: str
    status: str
    sentence: str
    parents: tuple[VerdictParent, ...] = ()
    rivals: tuple[Rival, ...] = ()
    limits: tuple[str, ...] = ()
    parts: tuple[PartVerdict, ...] = ()
    given: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        one_of(self.status, VERDICT_STATUSES, "verdict.status")


@dataclass(frozen=True, slots=True)
class ArithmeticMatch:
    """Another arithmetic that was replayed, and the share of informative elements it reproduced."""

    arithmetic: str
    match: float


@dataclass(frozen=True, slots=True)
class Replay:
    """The recipe that reproduces the most bits; ``match``: of elements where the parents differ."""

    method: str
    arithmetic: str
    match: float
    informative_elements: int
    parameters: Mapping[str, Any]
    alternatives: tuple[ArithmeticMatch, ...] = ()


@dataclass(frozen=True, slots=True)
class Novelty:
    """Bits per weight that the explanation leaves open, beside those of the suspect itself."""

    bits_per_weight: float | Absent
    own_bits_per_weight: float | Absent = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class Direction:
    """Match of the suspect made from its parents, and of a parent made from the suspect."""

    forward_match: float | Absent
    backward_match: float | Absent


@dataclass(frozen=True, slots=True)
class Control:
    """A model put through the same path; ``real`` False: a shuffled difference, not a model."""

    name: str
    consistency: float | Absent
    match: float | Absent
    weight: Estimate | Absent
    real: bool = True


@dataclass(frozen=True, slots=True)
class TensorVerdict:
    """One tensor's own story; ``weights`` in the order of the verdict's parents.

    ``component`` names the place in a layer (``attention.q``, ``mlp.down``, ``norm`` ...);
    ``layer`` is Absent outside the stack of layers.
    """

    name: str
    role: str
    layer: int | Absent
    component: str
    elements_examined: int
    weights: tuple[Estimate | Absent, ...]
    consistency: float | Absent
    match: float | Absent
    sigma_relative: float | Estimate | Absent
    relation: str


@dataclass(frozen=True, slots=True)
class Report:
    """What an audit concluded. Renderers read this and nothing else."""

    tool: Mapping[str, Any]
    asked: Mapping[str, Any]
    used: Mapping[str, Any]
    suspect: Suspect
    verdict: Verdict
    post_training: PostTraining
    replay: Replay | Absent
    novelty: Novelty
    direction: Direction
    controls: tuple[Control, ...]
    coverage: Coverage
    tensors: tuple[TensorVerdict, ...]
    parents: tuple[ModelInput, ...] = ()
    strata: tuple[Stratum, ...] | Absent = NOT_MEASURED
    consistency_curve: ConsistencyCurve | Absent = NOT_MEASURED
    offset_histogram: Mapping[str, int] | Absent = NOT_MEASURED
    least_squares: tuple[LeastSquares, ...] | Absent = NOT_MEASURED
    heterogeneity: Heterogeneity | Absent = NOT_MEASURED
    quiet_rows: tuple[QuietRows, ...] | Absent = NOT_MEASURED
    tree: Tree | Absent = NOT_MEASURED
    spectrum: tuple[Spectrum, ...] | Absent = NOT_MEASURED
    recipe_candidates: tuple[RecipeCandidate, ...] | Absent = NOT_MEASURED
    merge_tests: tuple[MergeTest, ...] | Absent = NOT_MEASURED
    differences: tuple[PartDifference, ...] | Absent = NOT_MEASURED
    previous: PreviousUpload | Absent = NOT_MEASURED
    notes: tuple[str, ...] = ()
    layers: tuple[LayerPlace, ...] | Absent = NOT_MEASURED
    reading: Reading | Absent = NOT_MEASURED
    reorderings: tuple[Reordering, ...] | Absent = NOT_MEASURED


# Mappings whose order says nothing are written sorted, so that equal reports are equal files.
_UNORDERED = frozenset({"tool", "asked", "used", "digests", "parameters"})


def to_json(report: Report) -> dict[str, Any]:
    """The report as plain values, ``schema`` and ``version`` first, in a fixed order of keys."""
    plain = _ordered(to_plain(report))
    histogram = plain["offset_histogram"]
    if "absent" not in histogram:
        plain["offset_histogram"] = {k: histogram[k] for k in sorted(histogram, key=int)}
    return {"schema": SCHEMA, "version": VERSION, **plain}


def _ordered(value: Any, sort: bool = False) -> Any:
    if isinstance(value, dict):
        keys = sorted(value) if sort else list(value)
        return {k: _ordered(value[k], sort or k in _UNORDERED) for k in keys}
    if isinstance(value, list):
        return [_ordered(v, sort) for v in value]
    return value


def from_json(payload: Mapping[str, Any]) -> Report:
    """A report from plain values (see ``json_files.load_json`` for the file's own checks).

    Raises ``EvidenceError``: ``record-shape`` naming the field, ``report-status``,
    ``report-inconsistent`` where lengths or keys do not fit each other.
    """
    report = from_plain(Report, dict(payload), "$")
    _check_histogram(report)
    _check_curve(report)
    return report


def _check_histogram(report: Report) -> None:
    if isinstance(report.offset_histogram, Absent):
        return
    for key, count in report.offset_histogram.items():
        digits = key.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or count < 0:
            raise EvidenceError(
                f"{key!r} with {count!r} elements is no offset in units of the last place",
                code="report-inconsistent",
                where="$.offset_histogram",
            )


def _check_curve(report: Report) -> None:
    curve = report.consistency_curve
    if isinstance(curve, Absent):
        return
    lengths = {len(curve.suspect), *(len(c.shares) for c in curve.controls)}
    if lengths != {len(curve.grid)}:
        raise EvidenceError(
            "a curve has another number of points than its grid",
            code="report-inconsistent",
            where="$.consistency_curve",
        )


def load_report(path: Path) -> Report:
    """Read a saved report; errors of ``json_files.load_json`` and :func:`from_json`."""
    return from_json(load_json(path, schema=SCHEMA, version=VERSION))
