"""Evidence, version 1: what was measured, before anyone judges it.

Judging reads this and nothing else. Models are numbered: index 0 is the suspect, then the parents in
the order given, then the base (when it is not among the parents), then the controls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from parentage.records.absence import Absent
from parentage.records.alignment import NOT_RECORDED, AlignmentFindings
from parentage.records.merge_claims import MergeClaim
from parentage.records.quantized import Quantized
from parentage.records.reading import ONE_STAGE, Reading
from parentage.records.recognition import NOT_RUN, Recognition
from parentage.records.weight_sets import TOO_COARSE, SetComparison, WeightSet

__all__ = [
    "NO_CODES",
    "SCHEMA",
    "TOO_COARSE",
    "VERSION",
    "ArithmeticShare",
    "ChangeReach",
    "Comparison",
    "Coverage",
    "Evidence",
    "Mixture",
    "ModelPin",
    "ModelRole",
    "NotExamined",
    "Quantized",
    "QuietRows",
    "Replay",
    "ReplayFit",
    "ReplayTensor",
    "SetComparison",
    "ShardPin",
    "SharedSweep",
    "Spectrum",
    "TensorEvidence",
    "WeightSet",
]

SCHEMA = "parentage.evidence"
VERSION = 1


NO_CODES = Absent("the suspect holds no tensor of codes")
NOT_OFF = Absent("every element equals the replay, or nothing was compared")


class ModelRole(StrEnum):
    """What a model was given as."""

    SUSPECT = "suspect"
    PARENT = "parent"
    BASE = "base"
    CONTROL = "control"
    PREVIOUS = "previous"
    SHUFFLED = "shuffled-control"


@dataclass(frozen=True, slots=True)
class ShardPin:
    """One weight file: name, bytes, SHA-256.

    ``checksums``: CRC-32 of each tensor's bytes, in hexadecimal. The SHA-256 proves that a file is the
    same; the checksums say which tensor is not.
    """

    name: str
    size: int
    sha256: str | Absent
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelPin:
    """An input, pinned: enough to find the same bytes again and to notice when they changed."""

    name: str
    role: ModelRole
    locator: str
    revision: str | Absent
    shards: tuple[ShardPin, ...]
    declared: tuple[str, ...] = ()
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotExamined:
    """Something that was not looked at, and why."""

    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was looked at. Elements are the suspect's.

    ``elements_replayed``: those that were sampled or that the replay of a merge method compared, which
    reads whole tensors; 0 where none was. Such elements were looked at for that method alone.
    """

    tensors: int
    tensors_examined: int
    elements: int
    elements_examined: int
    bytes_read: int
    not_examined: tuple[NotExamined, ...]
    elements_replayed: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """The two likelihoods on one tensor (see ``numerics.deciding.merge_test``); sizes in weight units.

    ``drift``: how far the later change moved the suspect along the parents' difference, in weight.
    ``coarse_step``: the 99th percentile of the blend's grid steps: a change larger than that leaves
    nothing of the grid to be seen. ``lattice_lead``: over replays that take other values of the grid.
    ``change_rms``: root mean square of the change with its standard error, from the elements of the
    sample with fine enough steps.
    """

    elements: int
    alpha: float
    alpha_low: float | Absent
    alpha_high: float | Absent
    drift: float
    scale: float
    family: str
    log_likelihood: float
    free_alpha: float
    free_scale: float
    free_log_likelihood: float
    delta_ll: float
    drop_at_zero: float
    drop_at_one: float
    residual_correlation: float
    off_replay: int
    off_replay_elements: int
    merge_dtype: str
    coarse_step: float
    lattice_lead: float | Absent
    change_rms: float | Absent = TOO_COARSE
    change_rms_error: float | Absent = TOO_COARSE
    change_rms_elements: int = 0


@dataclass(frozen=True, slots=True)
class Mixture:
    """How well one subject is explained as a blend of two parents, C = alpha A + (1 - alpha) B."""

    subject: int
    first: int
    second: int
    cast: str
    informative: int
    equal: int
    equal_agree: int
    low: float
    high: float
    count: int
    consistency: float
    alpha_zero_share: float
    alpha_one_share: float
    fold_alpha: float | Absent
    fold_consistency: float | Absent
    least_squares: float | Absent
    cosine: float | Absent
    comparison: Comparison | Absent


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Shape of the difference between suspect and one model: stable rank of the tensor's delta."""

    model: int
    stable_rank: float
    rows: int
    columns: int


@dataclass(frozen=True, slots=True)
class QuietRows:
    """Embedding rows that only weight decay moved, from ``model`` to the suspect."""

    model: int
    tensor: str
    rows: int
    quiet: int
    factor_low: float
    factor_high: float
    schedule: str | Absent
    exact_rows: int
    steps: int | Absent
    learning_rate: float | Absent
    weight_decay: float | Absent
    neighbours_rejected: bool


@dataclass(frozen=True, slots=True)
class TensorEvidence:
    """All that was measured on one tensor.

    ``spread`` is the standard deviation of the suspect's weights, ``square`` the sum of their squares.
    ``equal[i]`` counts elements whose value equals model i's; ``cast_equal[i]`` those equal to model
    i's rounded to the suspect's dtype. ``gram[i][j]`` is the sum of (M_i - C)(M_j - C) over the
    examined elements, models without the suspect, from which every distance follows; ``rounding[i]`` what
    the storage of model i (0 the suspect) adds to its squared distances if its values were rounded ones.
    """

    name: str
    role: str
    component: str
    layer: int | Absent
    shape: tuple[int, ...]
    dtypes: tuple[str, ...]
    effective_dtypes: tuple[str, ...]
    elements: int
    examined: int
    finite: int
    spread: float
    whole: bool
    present: tuple[int, ...]
    equal: tuple[int, ...]
    cast_equal: tuple[int, ...]
    correlation: tuple[float, ...]
    parents_all_equal: int
    gram: tuple[tuple[float, ...], ...]
    mixtures: tuple[Mixture, ...]
    weights: tuple[WeightSet, ...]
    spectra: tuple[Spectrum, ...]
    permutation_z: float | Absent
    square: float
    digests: tuple[str | Absent, ...] = ()
    rounding: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class SharedSweep:
    """One subject and one pair of parents over all tensors.

    ``low``/``high``: the weights that every consistent tensor allows at once. ``curve[k]`` counts the
    informative elements whose interval holds ``curve_grid[k]``.
    """

    subject: int
    first: int
    second: int
    cast: str
    tensors: int
    consistent_tensors: int
    low: float | Absent
    high: float | Absent
    informative: int
    curve: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ChangeReach:
    """How far the sampled elements off a replay lie from its unrounded blend.

    ``beyond_arithmetic``: farther than all roundings of any 16-bit arithmetic together reach.
    ``beyond_one_rounding``: farther than one intermediate rounding (of a product, a difference, an
    operand) reaches; ``expected_beyond``: how many of the ``off`` elements would be, had each been moved
    by one whole grid step after the blend was stored.
    """

    elements: int
    off: int
    beyond_arithmetic: int
    beyond_one_rounding: int
    expected_beyond: float


@dataclass(frozen=True, slots=True)
class ReplayFit:
    """The likelihood of a change around the replay, on the elements of the tensor's ``Comparison``.

    ``delta_ll``: its lead over the free likelihood; ``drift`` along the parents' differences, in weight.
    """

    log_likelihood: float
    delta_ll: float
    scale: float
    family: str
    drift: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReplayTensor:
    """A replay on one tensor.

    ``offsets``: histogram of the suspect's distance from the replay in grid steps, -8 ... +8, the ends
    open. ``beyond_rounding``: elements farther from the unrounded blend than half of the coarsest
    grid step among suspect and parents, which no single intermediate rounding can explain.
    ``revision_leads``: for each parent, the log-likelihood ratio of whole steps after the blend over
    whole steps of that parent before it. ``experts``: of a tensor that holds a layer's experts, those of
    which informative elements were sampled, ``experts_off`` those with elements off the replay.
    ``novel_bits``/``own_bits``: entropy of the offsets, and of the suspect's own values, in bits.
    """

    name: str
    weights: tuple[float, ...]
    examined: int
    matches: int
    informative: int
    informative_matches: int
    beyond_rounding: int
    novel_bits: float
    own_bits: float
    offsets: tuple[int, ...]
    reach: ChangeReach | Absent = NOT_OFF
    fit: ReplayFit | Absent = NOT_OFF
    revision_leads: tuple[float, ...] = ()
    experts: tuple[int, ...] = ()
    experts_off: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ArithmeticShare:
    """The same weights under another arithmetic: exact matches on the probe, of ``elements``."""

    arithmetic: str
    cast: str
    matches: int
    elements: int


@dataclass(frozen=True, slots=True)
class Replay:
    """One recipe under one arithmetic, replayed on every tensor that was examined.

    ``weights`` of most tensors; a tensor that allows none of them has its own. A control's replay
    counts the probe only and lists no tensors. ``backward``: the first parent rebuilt from the suspect.
    ``indistinguishable``: other arithmetics that explain the probe as well.
    """

    subject: int
    parents: tuple[int, ...]
    arithmetic: str
    cast: str
    weights: tuple[float, ...]
    label: str
    examined: int
    matches: int
    informative: int
    informative_matches: int
    backward_matches: int
    backward_informative: int
    full: bool
    alternatives: tuple[ArithmeticShare, ...]
    tensors: tuple[ReplayTensor, ...]
    indistinguishable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The file between measuring and judging."""

    tool: Mapping[str, str]
    asked: Mapping[str, Any]
    used: Mapping[str, Any]
    models: tuple[ModelPin, ...]
    coverage: Coverage
    curve_grid: tuple[float, ...]
    tensors: tuple[TensorEvidence, ...]
    sweeps: tuple[SharedSweep, ...]
    replays: tuple[Replay, ...]
    quiet_rows: tuple[QuietRows, ...]
    notes: tuple[str, ...] = field(default=())
    alignment: AlignmentFindings | Absent = NOT_RECORDED
    reading: Reading | Absent = ONE_STAGE
    quantized: Quantized | Absent = NO_CODES
    recognition: Recognition | Absent = NOT_RUN
    claims: tuple[MergeClaim, ...] = ()
