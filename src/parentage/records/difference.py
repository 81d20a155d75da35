"""How two checkpoints differ, tensor by tensor: what ``diff`` measures and writes.

Counts are of elements. *Equal bits* is the strictest equality: -0.0 differs from 0.0, and a NaN equals
a NaN of the same bits. *Equal values* is arithmetic: -0.0 equals 0.0, and a NaN equals nothing. Sizes and
cosines are taken over the elements that are finite in every model concerned.
"""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = [
    "SCHEMA",
    "VERSION",
    "BaseDeltas",
    "ComponentDifference",
    "Difference",
    "OffsetRange",
    "Offsets",
    "OneSided",
    "TensorDifference",
    "TotalDifference",
]

SCHEMA = "parentage.difference"
VERSION = 1


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """How many elements lie from ``low`` to ``high`` units in the last place apart (both included)."""

    low: int
    high: int | Absent
    count: int


@dataclass(frozen=True, slots=True)
class Offsets:
    """Distances in units in the last place: how many storable values one number is from the other.

    ``grid``: the dtype whose values are counted (BF16 when float32 files carry bf16 numbers only).
    ``median`` and ``percentile_95`` are over all ``elements``, equal ones included; exact below 256,
    above that the lower end of a bin at most 1/128 wide. ``largest`` and ``ranges`` are exact.
    """

    grid: str
    elements: int
    median: int
    percentile_95: int
    largest: int
    ranges: tuple[OffsetRange, ...]


@dataclass(frozen=True, slots=True)
class BaseDeltas:
    """The two deltas from a base O: ||A-O||/||O||, ||B-O||/||O||, and their cosine."""

    elements: int
    first_relative: float | Absent
    second_relative: float | Absent
    cosine: float | Absent


@dataclass(frozen=True, slots=True)
class TensorDifference:
    """One tensor of the first model (A) and its counterpart in the second (B).

    ``relative_delta``: ||B-A||/||A||. ``spread_delta``: root mean square of B-A over the standard
    deviation of A.
    """

    name: str
    second_name: str
    role: str
    component: str
    layer: int | Absent
    shape: tuple[int, ...]
    first_dtype: str
    second_dtype: str
    elements: int
    examined: int
    whole: bool
    equal_bits: int | Absent
    equal_values: int
    first_not_finite: int
    second_not_finite: int
    offsets: Offsets | Absent
    relative_delta: float | Absent
    spread_delta: float | Absent
    base: BaseDeltas | Absent


@dataclass(frozen=True, slots=True)
class OneSided:
    """A tensor that only one model has, and why nothing of the other was compared with it."""

    model: str
    tensor: str
    shape: tuple[int, ...]
    dtype: str
    reason: str


@dataclass(frozen=True, slots=True)
class ComponentDifference:
    """All compared tensors of one component. A sampled tensor counts in ``relative_delta`` and ``base``
    as much as all of it would."""

    component: str
    tensors: int
    elements: int
    examined: int
    equal_values: int
    relative_delta: float | Absent
    base: BaseDeltas | Absent


@dataclass(frozen=True, slots=True)
class TotalDifference:
    """All compared tensors; ``same_bits`` and ``same_values`` count tensors with no examined element
    apart."""

    tensors: int
    elements: int
    examined: int
    same_bits: int
    same_values: int
    dtypes_differ: int
    equal_values: int
    relative_delta: float | Absent
    base: BaseDeltas | Absent


@dataclass(frozen=True, slots=True)
class Difference:
    """Two checkpoints compared; ``sample`` elements a tensor, or all of them when it is absent."""

    first: str
    second: str
    base: str | Absent
    sample: int | Absent
    seed: int
    total: TotalDifference
    components: tuple[ComponentDifference, ...]
    tensors: tuple[TensorDifference, ...]
    one_sided: tuple[OneSided, ...]
