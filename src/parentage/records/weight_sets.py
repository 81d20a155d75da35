"""Weights of several parents on one tensor, as measured."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = ["TOO_COARSE", "SetComparison", "WeightSet"]

NOT_MEASURED = Absent("not measured by the version that wrote this file")
TOO_COARSE = Absent("fewer than 30 elements have grid steps as fine as the change, or none is left of it")


@dataclass(frozen=True, slots=True)
class SetComparison:
    """The two likelihoods of K parents on one tensor (see ``numerics.deciding.merge_test_many``).

    ``weights`` within ``low``..``high`` (95 %; equal to them where the grid is not likelier by 8);
    ``scale`` and ``free_scale`` in weight units. ``drops``: lead over the best replay without each parent,
    ``lattice_lead``: over blends that take another value of the same grid; both only where asked for.
    ``coarse_step``: the 99th percentile of the blend's grid steps. ``drift``: how far the change moved the
    suspect along each parent's difference to the last one, in weight, and along the last one itself where
    the sum is free.
    ``correlations``: of the change with each parent less the blend of the others. ``change_rms``: root mean
    square of the change with its standard error, from the elements of the sample with fine enough steps.
    ``over_pairs``: lead of G over the best pair, which is what is asked first.
    """

    elements: int
    weights: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    sum_to_one: bool
    scale: float
    family: str
    log_likelihood: float
    free_weights: tuple[float, ...]
    free_scale: float
    free_log_likelihood: float
    delta_ll: float
    drops: tuple[float, ...]
    drift: tuple[float, ...]
    correlations: tuple[float, ...]
    off_replay: int
    off_replay_elements: int
    merge_dtype: str
    coarse_step: float = 0.0
    lattice_lead: float | Absent = NOT_MEASURED
    change_rms: float | Absent = TOO_COARSE
    change_rms_error: float | Absent = TOO_COARSE
    change_rms_elements: int = 0
    over_pairs: float | Absent = NOT_MEASURED


@dataclass(frozen=True, slots=True)
class WeightSet:
    """Weights of K parents on one tensor, two of them only where no weight on their line explains it.

    ``feasible``: one set of weights explains every element, ``low``..``high`` and ``sum_low``..``sum_high``
    are its exact ranges. Else ``estimate`` (and both ends) is the free likelihood's, biased by storage,
    ``consistency`` the share of cells that hold its blend, ``slack`` by how many half-cells the cells
    would have to grow, at least. ``subject``: the suspect, or a control put through the same likelihoods.
    ``over_fewer``: where two of the parents explain the numbers as well, and their grid leads: how much
    more the grid of all explains than that of the best without one.
    """

    parents: tuple[int, ...]
    cast: str
    elements: int
    estimate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    sum_low: float
    sum_high: float
    consistency: float
    feasible: bool
    slack: float
    comparison: SetComparison | Absent = NOT_MEASURED
    subject: int = 0
    over_fewer: float | Absent = NOT_MEASURED
