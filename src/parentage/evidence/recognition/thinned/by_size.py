"""TIES and breadcrumbs: an element's size decides whether it stays, so that a recipe replays outright."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.replaying import drawn_before, replay_tensor
from parentage.evidence.recognition.thinned.climbing import Begun, Climb, Given, every_arithmetic, likeliest
from parentage.evidence.recognition.thinned.looking import Look, looks
from parentage.methods.estimates.masks import Window
from parentage.methods.estimates.numbers import (
    densities,
    factors_by_size,
    gammas,
    scales,
    typed,
    weights,
)
from parentage.methods.registry import method
from parentage.numerics.feasible.candidates import description_length
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers

__all__ = ["THINNED_BY_SIZE", "screened"]

Row = Mapping[str, Any]
# Numbers of one share that are gone through, recipes that are held against the first tensor of the probe,
# and those that are handed on where several replay it.
EACH: Final = 6
SCREENED: Final = 120
HANDED_ON: Final = 3


def _propose(context: Context) -> Iterator[Candidate]:
    for look in looks(context):
        windows = [look.thinned.windows(j) for j in range(look.thinned.parents)]
        known = [w for w in windows if w]
        if len(known) == look.thinned.parents:
            yield from _likeliest(context, look, known)


def _likeliest(context: Context, look: Look, windows: Sequence[Sequence[Window]]) -> Iterator[Candidate]:
    """Breadcrumbs without gamma are TIES: where one replays, the other is not looked for."""
    begun = [_begun(context, look, n, windows, r) for n in _methods(look, windows) for r in (False, True)]
    yield from likeliest([b for b in begun if b is not None])


def _begun(
    context: Context, look: Look, name: str, windows: Sequence[Sequence[Window]], rescale: bool
) -> Begun | None:
    factors = [factors_by_size(look.thinned, j, w) for j, w in enumerate(windows)] if rescale else None
    climb = Climb(context, look.names, partial(_candidate, look, name, rescale))
    numbers, along = weights(look.thinned, factors), [] if rescale else scales(look.thinned)
    rows, finer = _shares(name, windows), _hundredths(name, windows)
    return Begun.of(climb, rows, numbers, along, _arithmetics(look, name), finer)


def _arithmetics(look: Look, name: str) -> list[str]:
    profiles = method(name).profiles
    return [p for p in profiles if not p.startswith("parentage") or look.dtype is DType.F32]


def _methods(look: Look, windows: Sequence[Sequence[Window]]) -> list[str]:
    """What the masks and the signs allow; task vectors that stay whole, all added up, are no such merge."""
    elected, ties = look.thinned.elected, all(x.open_above for w in windows for x in w)
    if all(x.whole for w in windows for x in w) and elected is not True:
        return []
    found = ["ties"] if ties and elected is not False else []
    found += [] if elected is True else ["breadcrumbs"]
    return found + ([] if elected is False or look.thinned.parents == 1 else ["breadcrumbs_ties"])


# Our own arithmetic, and the share by a tool's at which a tensor may be ours.
OURS: Final = "parentage-1"
MOSTLY: Final = 0.75


def _length(row: Row) -> float:
    return sum(description_length(float(x)) for x in row.values())


def _shares(name: str, windows: Sequence[Sequence[Window]]) -> list[list[Row]]:
    """What may have been typed for each parent, simplest first; empty where tensors disagree."""
    each: list[list[Row]] = []
    for w in windows:
        share, top = densities(w, tails=name != "ties"), gammas(w)
        if share is None or (top is None and name != "ties"):
            return []
        found: list[Row] = [{"density": x} for x in typed(share, EACH)]
        if name != "ties" and top is not None:
            found = [{**r, "gamma": g} for r in found for g in typed(top, EACH)]
        each.append(sorted(found, key=_length))
    return each


def _hundredths(name: str, windows: Sequence[Sequence[Window]]) -> list[dict[str, list[float]]]:
    """Every hundredth that a parent's shares may be."""
    each = []
    for w in windows:
        found = {"density": densities(w, tails=name != "ties")}
        if name != "ties":
            found["gamma"] = gammas(w)
        each.append({key: _within(share) for key, share in found.items() if share is not None})
    return each


def _within(share: tuple[float, float]) -> list[float]:
    return [n / 100 for n in range(101) if share[0] <= n / 100 < share[1]]


def _candidate(look: Look, name: str, rescale: bool, given: Given) -> Candidate:
    rows, numbers = given.rows, given.typed
    each = ({}, *({"weight": w, **r} for w, r in zip(numbers.weights, rows, strict=True)))
    shared: dict[str, Any] = {"normalize": numbers.normalize, "lambda": numbers.factor, "rescale": rescale}
    declared = {d.name: d.default for d in method(name).parameters}
    shared = {k: v for k, v in shared.items() if v != declared[k]}
    return Candidate(name, look.operands, 0, Numbers(each, shared), "mergekit-0.1.5", look.dtype)


def screened(context: Context, names: Sequence[str], tried: Iterator[Candidate]) -> Iterator[Candidate]:
    """The first recipes that replay one tensor, in every arithmetic; else the one that gives the most."""
    best: tuple[float, Candidate] | None = None
    handed = 0
    for _, candidate in zip(range(SCREENED), tried, strict=False):
        share, nearer = _nearer(candidate, names[0], context, best[0] if best else 0.0)
        if share == 1.0:
            yield from every_arithmetic(nearer)
            handed += 1
            if handed == HANDED_ON:
                return
        elif best is None or share > best[0]:
            best = share, nearer
    if not handed and best is not None:
        yield best[1]


def _nearer(candidate: Candidate, name: str, context: Context, enough: float) -> tuple[float, Candidate]:
    """A tensor's share by the tool's arithmetic, or by ours where the tool's gives most: of changes of one
    size, which are many where parents are stored in 16 bits, the two keep different ones."""
    share = _share(candidate, name, context, enough)
    ours = OURS in candidate.rule.profiles and candidate.dtype.value == "F32"
    if ours and MOSTLY <= share < 1.0:
        other = replace(candidate, arithmetic=OURS)
        found = _share(other, name, context, share)
        if found > share:
            return found, other
    return share, candidate


def _share(candidate: Candidate, name: str, context: Context, enough: float) -> float:
    drawn = drawn_before(candidate, context).get(name, 0)
    counted = replay_tensor(candidate, name, context, enough=enough, drawn=drawn)
    return -1.0 if counted is None else counted.share


THINNED_BY_SIZE: Final = Recogniser("thinned-by-size", _propose)
