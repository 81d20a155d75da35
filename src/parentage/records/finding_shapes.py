"""What each kind of finding must hold, so that whoever judges it need not ask.

A finding's measures are free in the file, since each recogniser has its own; an evidence from elsewhere may
hold anything there. Each kind that is judged is read by its shape here, once, and refused with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from parentage.errors import EvidenceError
from parentage.records.codec import from_plain
from parentage.records.recognition import Finding

__all__ = ["check_findings"]

Fail = Callable[[str, str], EvidenceError]


@dataclass(frozen=True, slots=True)
class _Fit:
    rank: int
    elements: int
    outside: int
    less: int
    crossing: int
    forward: int
    backward: int
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class _LowRankRow:
    rank: int
    excess: float
    share: float
    crossing: int
    forward: float
    backward: float
    rows: int
    columns: int
    cast: bool
    scaled: bool
    modelled: float = 0.0
    fit: _Fit | None = None


@dataclass(frozen=True, slots=True)
class _DirectionRow:
    along: float
    alike: float
    strength: float


@dataclass(frozen=True, slots=True)
class _Direction:
    strength: float
    rows: tuple[_DirectionRow, ...]
    informative: int
    matches: int
    adjacent: int = 0
    low: float = 0.0
    high: float = 0.0
    level: float = 0.0


@dataclass(frozen=True, slots=True)
class _LowRank:
    changed_matrices: int
    changed_vectors: int
    rows: tuple[_LowRankRow, ...]
    direction: _Direction | None = None


@dataclass(frozen=True, slots=True)
class _ExpertRow:
    layer: int
    expert: int
    role: str
    model: int
    looked: int
    equal: int
    alike: float


@dataclass(frozen=True, slots=True)
class _Experts:
    layers: int
    experts: int
    matrices: int
    rows: tuple[_ExpertRow, ...]


@dataclass(frozen=True, slots=True)
class _ThinnedParent:
    coefficients: tuple[float, ...]
    whole: bool
    trials: int = 0
    stayed: int = 0
    density: tuple[float, ...] = ()
    epsilon: tuple[float, ...] = ()
    p_ranks: float = 0.0
    p_neighbours: float = 0.0


@dataclass(frozen=True, slots=True)
class _ThinnedControl:
    model: int
    told: int
    explained: int


@dataclass(frozen=True, slots=True)
class _Thinned:
    told: int
    explained: int
    elements: int
    unexplained: int
    mirrored: int
    averaged: bool
    elected: bool | str
    parents: tuple[_ThinnedParent, ...]
    dependence: float
    controls: tuple[_ThinnedControl, ...]
    seed: int | str


@dataclass(frozen=True, slots=True)
class _Adapters:
    method: str
    arithmetic: str
    weights: tuple[float, ...]
    ranks: tuple[int, ...]
    scalings: tuple[float, ...]
    informative: int
    matches: int
    replayed: int
    left: int
    elsewhere: int
    adjacent: int = 0
    ranges: tuple[tuple[float, ...], ...] = ()
    shared: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


def check_findings(findings: Sequence[Finding], models: int, fail: Fail) -> None:
    """Raises ``EvidenceError``: ``record-shape``, and what ``fail`` (message, place) makes."""
    for k, finding in enumerate(findings):
        check = _CHECKS.get(finding.kind)
        if check is not None:
            check(finding, models, f"$.recognition.findings[{k}].measures", fail)


def _low_rank(finding: Finding, models: int, where: str, fail: Fail) -> None:
    found = from_plain(_LowRank, dict(finding.measures), where)
    if len(finding.models) != 2:
        raise fail("a change is one from a model to the suspect", where)
    for row in found.rows:
        _counts((row.rank, row.rows, row.columns, row.crossing), where, fail)
        if row.fit is not None:
            fit = row.fit
            _counts((fit.rank, fit.outside, fit.forward, fit.backward, fit.elements - 1), where, fail)
            _counts((fit.elements - fit.outside, fit.elements - fit.less, fit.less), where, fail)
            _counts((fit.crossing - fit.forward, fit.crossing - fit.backward), where, fail)
    if found.direction is not None:
        told = found.direction
        _counts((told.matches, told.adjacent, told.informative - told.matches), where, fail)


def _experts(finding: Finding, models: int, where: str, fail: Fail) -> None:
    found = from_plain(_Experts, dict(finding.measures), where)
    for row in found.rows:
        _counts((row.layer, row.expert, row.equal, row.looked - row.equal), where, fail)
        _model(row.model, models, where, fail)


def _thinned(finding: Finding, models: int, where: str, fail: Fail) -> None:
    found = from_plain(_Thinned, dict(finding.measures), where)
    if len(found.parents) != len(finding.models) - 1:
        raise fail("as many parents as models beside the base", where)
    for parent in found.parents:
        whole = (len(parent.density), len(parent.epsilon)) == (3, 3) and parent.coefficients
        if not parent.whole and not whole:
            raise fail("three numbers of a density and of an epsilon, and coefficients", where)
        _counts((parent.stayed, parent.trials - parent.stayed), where, fail)
    for control in found.controls:
        _model(control.model, models, where, fail)
        _counts((control.told, control.explained), where, fail)
    _counts((found.told, found.explained, found.elements, found.unexplained, found.mirrored), where, fail)


def _adapters(finding: Finding, models: int, where: str, fail: Fail) -> None:
    found = from_plain(_Adapters, dict(finding.measures), where)
    count = len(finding.models) - 1
    if not count == len(found.weights) == len(found.ranks) == len(found.scalings):
        raise fail("a weight, a rank and a scaling for each adapter", where)
    if not isinstance(found.shared.get("density", 0.0), int | float):
        raise fail("a density is a number", where)
    _counts((found.matches, found.adjacent, found.informative, found.replayed, found.left), where, fail)
    _counts((found.elsewhere,), where, fail)


def _counts(counts: Sequence[int], where: str, fail: Fail) -> None:
    if min(counts) < 0:
        raise fail(f"counts that cannot be: {', '.join(map(str, counts))}", where)


def _model(index: int, models: int, where: str, fail: Fail) -> None:
    if not 0 <= index < models:
        raise fail(f"{index} is the number of no model here", where)


_CHECKS: Final[Mapping[str, Callable[[Finding, int, str, Fail], None]]] = {
    "low-rank": _low_rank,
    "experts": _experts,
    "thinned-by-chance": _thinned,
    "adapters": _adapters,
}
