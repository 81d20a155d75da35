"""What a report may add to its verdict: each finding describes, none of them decides.

Kept apart from the report itself because any of them can be absent from one.
"""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = [
    "NOT_MEASURED",
    "ConsistencyCurve",
    "ControlCurve",
    "Heterogeneity",
    "LayerOrigin",
    "LayerPlace",
    "LeastSquares",
    "MergeTest",
    "PartDifference",
    "PreviousUpload",
    "QuietRows",
    "RecipeCandidate",
    "Reordering",
    "Spectrum",
    "Stratum",
    "Tree",
    "TreeBranch",
]

NOT_MEASURED = Absent("not measured")


@dataclass(frozen=True, slots=True)
class Stratum:
    """Elements off the replay in one layer and component.

    ``upper`` is the Clopper-Pearson bound on their share at 95 %; ``smallest_seen`` the smallest
    share of changed elements that would have been seen with 99 % power.
    """

    layer: int | Absent
    component: str
    off_replay: int
    elements: int
    upper: float
    smallest_seen: float


@dataclass(frozen=True, slots=True)
class LayerOrigin:
    """A layer of another model that one of the suspect's was compared with; ``copied``: equal values."""

    model: str
    number: int | Absent
    copied: bool


@dataclass(frozen=True, slots=True)
class Reordering:
    """Units of some layers that stand in another order than a model's, or are multiplied; counts are sums.

    ``moved`` and ``multiplied`` (by a power of two, or negated) were undone before comparing, ``scaled``
    (by another factor) were not. ``one_order``: all tensors of a layer show the same order.
    """

    model: str
    unit: str
    layers: tuple[int, ...]
    units: int
    moved: int
    multiplied: int
    scaled: int
    one_order: bool


@dataclass(frozen=True, slots=True)
class LayerPlace:
    """A layer of the suspect, and what it meets in each other model; ``stack`` is its names' beginning."""

    stack: str
    layer: int
    origins: tuple[LayerOrigin, ...]


@dataclass(frozen=True, slots=True)
class ControlCurve:
    """A control's share of informative elements consistent with each weight of the grid."""

    name: str
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ConsistencyCurve:
    """For each weight of ``first`` in ``grid``: the share of informative elements it explains."""

    first: str
    second: str
    grid: tuple[float, ...]
    suspect: tuple[float, ...]
    controls: tuple[ControlCurve, ...] = ()


@dataclass(frozen=True, slots=True)
class MergeTest:
    """The test for a stored merge that was changed later, on the suspect or on a control.

    ``passed`` of the ``eligible`` matrices pass it; ``delta_ll`` is the log-likelihood ratio of "stored
    as a merge, then changed" to "never stored between", summed over the eligible ones.
    """

    name: str
    eligible: int
    passed: int
    delta_ll: float


@dataclass(frozen=True, slots=True)
class PartDifference:
    """How far the suspect lies from ``model`` in one layer and component.

    ``size`` is the root mean square of the difference over the standard deviation of the suspect's
    weights, over the ``elements`` examined there.
    """

    model: str
    layer: int | Absent
    component: str
    size: float
    elements: int


@dataclass(frozen=True, slots=True)
class LeastSquares:
    """What least squares would read on one tensor: descriptive, biased by storage rounding."""

    tensor: str
    weight: float
    cosine: float | Absent


@dataclass(frozen=True, slots=True)
class Heterogeneity:
    """How the weight varies over the model; ``pattern``: one-weight, by-component, gradient (evenly with
    depth), by-depth, by-component-and-depth, varies (within its uncertainty) or by-tensor."""

    pattern: str
    sentence: str
    low: float | Absent = NOT_MEASURED
    high: float | Absent = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class QuietRows:
    """Embedding rows that only weight decay moved, from ``parent`` to the suspect."""

    parent: str
    tensor: str
    rows: int
    quiet_rows: int
    exact_rows: int
    schedule: str | Absent = NOT_MEASURED
    steps: int | Absent = NOT_MEASURED
    learning_rate: float | Absent = NOT_MEASURED
    weight_decay: float | Absent = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class TreeBranch:
    """One branch of the family tree; ``length`` in standard deviations of the weights."""

    ancestor: str
    descendant: str
    length: float | Absent = NOT_MEASURED
    note: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """Who descends from whom, as far as distances tell."""

    sentence: str
    branches: tuple[TreeBranch, ...] = ()


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Stable rank of the difference between the suspect and ``model`` on one tensor."""

    tensor: str
    model: str
    stable_rank: float
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class RecipeCandidate:
    """A recipe that was weighed, simplest first; ``match`` over informative elements."""

    recipe: str
    arithmetic: str
    match: float | Absent
    note: str = ""


@dataclass(frozen=True, slots=True)
class PreviousUpload:
    """How the suspect differs from an earlier upload of it.

    ``relation``: same-bytes, same-values, or changed. ``differ`` of ``elements`` examined have another
    value, in ``tensors`` tensors; ``distance`` over the norm of the weights. ``match``: share of the
    informative elements of the probe in which the earlier upload equals the recipe replayed on the suspect.
    ``story``: the relation, or same-merge (both are the recipe bit for bit where it was replayed),
    merge-then-changed (the earlier upload is, the suspect is not), changed-then-merge (the reverse),
    other-than-merge (neither is). ``stable_rank``: median of the change's, over matrices looked at.
    """

    name: str
    relation: str
    sentence: str
    differ: int
    elements: int
    tensors: int
    distance: float | Absent = NOT_MEASURED
    match: float | Absent = NOT_MEASURED
    story: str | Absent = NOT_MEASURED
    stable_rank: float | Absent = NOT_MEASURED
    parts: tuple[PartDifference, ...] | Absent = NOT_MEASURED
