"""``adapter-fine-tune`` and ``abliteration``: one model, changed by products of low rank.

A change of low rank may be read either way, and two adapters over one base differ by low rank as well. What
tells them apart is rounding: only what was stored last has errors in its own cells (once, not twice).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from parentage.records.recognition import Finding, Recognition
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.rooted import weigh_descent
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["low_rank_words", "way_of_cells", "weigh_low_rank"]

# What is left beyond the rank, over what rounding leaves there: .996 to 1.018 in adapters merged by peft,
# 2.1 and more in real fine-tunes (docs/log.md). Two roundings leave 2.
EXCESS: Final = (0.85, 1.15)
# A tail of full rank that hides in what the excess may be: at most this share of the change.
HIDDEN: Final = 0.05
# Of the matrices; the others may be modules that an adapter holds whole.
MOST_LOW: Final = 0.75
# A rank beyond this share of the block's shorter side is not low.
LOW: Final = 0.25
# A change of few rows or columns is of low rank because it is of few rows.
SPREAD: Final = 4
# Where a change hardly reaches the next grid points, rounding leaves less: what is left over what it
# leaves of the very product that was read, 1.09 to 1.41 in adapters of peft in bfloat16 that have .7 to 30
# times the energy of rounding. Fine-tunes whose singular values fall slowly leave 1.9 and more; those that
# fall as the 3/2 power of their number and faster are of low rank themselves, and leave as little.
MODELLED: Final = 1.45
LEAST_SHARE: Final = 0.5
# Where rows were scaled, each number is moved by more than the product: .82 and more in DoRAs in bfloat16.
SCALED: Final = 0.75
# Numbers that moved to another binade, and how the two readings of their errors must differ: one is near 1
# (.99 to 1.08 as measured; of 64 numbers its standard error is .11), the other 1.8 and more. Two roundings
# are told by what is left of all numbers. Of numbers outside their cells two of a hundred count: more are
# asked for.
CROSSING: Final = 64
CROSSING_CELLS: Final = 100
NEAR: Final = (0.75, 1.3)
APART: Final = 1.4
# Of numbers that moved to another binade: outside the cells of what was rounded (.1 to .5 % in adapters
# merged by peft and by torch), and of what was not (9 to 16 %).
FEW_OUTSIDE: Final = 0.02
MANY_OUTSIDE: Final = 0.06
# Of a change along the shared direction, and of that what the matrix had there.
ALONG: Final = 0.95
ALIKE: Final = 0.98
# Of the changed numbers made again with an estimated direction: .89 in bfloat16 and .81 in float32 where
# torch took one out of the real O.
REPLAYED: Final = 0.7

Row = Mapping[str, Any]


def weigh_low_rank(readings: Readings) -> Weighing | None:
    """Against the nearest model whose difference is of low rank; None where there is none."""
    for finding in _findings(readings):
        rows: list[Row] = list(finding.measures["rows"])
        low = [_with_fit(row) for row in rows if _is_low(row) or _fits(row)]
        if low and len(low) >= MOST_LOW * len(rows):
            return _told(readings, finding, low)
    return None


def low_rank_words(readings: Readings) -> str:
    """What is known where a change of low rank does not settle whose it is; empty where there is none."""
    found = weigh_low_rank(readings)
    if found is None:
        return _faint_words(readings)
    if found.status is Status.SUPPORTED or not found.live:
        return ""
    if found.live[0][0] != "adapter-fine-tune":
        return ""
    finding = next(f for f in _findings(readings) if f.models[1:2] == found.models)
    rows = [_with_fit(row) for row in finding.measures["rows"] if _is_low(row) or _fits(row)]
    what = _what(finding, rows)
    return (
        f"; from {readings.name(found.models[0])} {what}, as an adapter or a fine-tune of low rank leaves "
        f"it: of that model, or of a base of both"
    )


def _faint_words(readings: Readings) -> str:
    """Of a change that rounding to 16 bits took in part: no more than what stands above it."""
    for finding in _findings(readings):
        rows: list[Row] = list(finding.measures["rows"])
        told = [row for row in rows if _is_low(row) or _is_faint(row)]
        if told and len(told) >= MOST_LOW * len(rows) and any(_is_faint(row) for row in told):
            ranks = sorted(row["rank"] for row in told)
            span = f"{ranks[0]}" if ranks[0] == ranks[-1] else f"{ranks[0]} to {ranks[-1]}"
            noun = "direction" if span == "1" else "directions"
            beside = ", rows scaled beside" if any(row["scaled"] for row in told) else ""
            return (
                f"; from {readings.name(finding.models[1])} the change is of low rank as far as rounding "
                f"shows it ({span} {noun} stand{'s' if span == '1' else ''} above it in {len(told)} of "
                f"{len(rows)} matrices looked at{beside}), as an adapter or a fine-tune of low rank leaves "
                f"it: of that model, or of a base of both"
            )
    return ""


def _findings(readings: Readings) -> Iterator[Finding]:
    found = readings.evidence.recognition
    if isinstance(found, Recognition):
        yield from (f for f in found.findings if f.kind == "low-rank")


def _is_low(row: Row) -> bool:
    change = row["share"] - 1
    hidden = (EXCESS[1] - 1) / change if change > 0 else 1.0
    rank, few = row["rank"], min(row["rows"], row["columns"])
    return bool(
        0 < rank <= LOW * few
        and few >= SPREAD * rank
        and EXCESS[0] <= row["excess"] <= EXCESS[1]
        and hidden <= HIDDEN
    )


def _fits(row: Row) -> bool:
    """Is there a product of a low rank that gives the suspect's numbers within their rounding cells?"""
    fit, few = row.get("fit"), min(row["rows"], row["columns"])
    return fit is not None and 0 < fit["rank"] <= LOW * few and few >= SPREAD * fit["rank"]


def _with_fit(row: Row) -> Row:
    """With the rank that fits in place of the singular values that are seen, or of what is a bound."""
    scaled = _fits(row) and row["fit"].get("scaled", False)
    if not _fits(row) or (_is_low(row) and not row["scaled"] and not scaled):
        return row
    return {**row, "rank": row["fit"]["rank"], "scaled": scaled, "cells": True}


def _by_cells(row: Row) -> bool:
    return bool(row.get("cells", False))


def _is_faint(row: Row) -> bool:
    """Does the change hardly reach the next grid points, and is what is left what rounding leaves of it?"""
    few = min(row["rows"], row["columns"])
    return bool(
        0 < row["rank"] <= LOW * few
        and few >= SPREAD * row["rank"]
        and row["excess"] < EXCESS[0]
        and row["share"] >= LEAST_SHARE
        and (0 < row.get("modelled", 0.0) <= MODELLED or (row["scaled"] and row["excess"] >= SCALED))
    )


def _told(readings: Readings, finding: Finding, rows: Sequence[Row]) -> Weighing:
    model = finding.models[1]
    relation = (
        "abliteration" if _is_abliteration(finding.measures.get("direction")) else "adapter-fine-tune"
    )
    name, what = readings.name(model), _what(finding, rows)
    way, fork = _way(rows), weigh_descent(readings)
    forked = fork is not None and fork.status is Status.SUPPORTED and fork.models == (model,)
    if way < 0 or (way == 0 and not forked):
        return _undetermined(name, model, relation, what, way)
    return Weighing(
        relation,
        Status.SUPPORTED,
        sentence=_sentence(name, finding, rows, relation),
        models=(model,),
        excluded=_excluded(name, what, rows, way),
        limits=_limits(finding, relation, name),
    )


def _way(rows: Sequence[Row]) -> int:
    """1 where the suspect was rounded after the change, -1 where the other was in any matrix, 0 where it is
    not told: in each matrix that tells it by itself, and in all together."""
    fitted, others = [row["fit"] for row in rows if "fit" in row], [r for r in rows if "fit" not in r]
    ways = {_way_of(row["crossing"], row["forward"], row["backward"]) for row in others}
    count = sum(row["crossing"] for row in others)
    forward, backward = (
        sum(row[key] * row["crossing"] for row in others) / max(count, 1) for key in ("forward", "backward")
    )
    ways |= {way_of_cells([fit]) for fit in fitted}
    told = {_way_of(count, forward, backward), way_of_cells(fitted)}
    return -1 if -1 in ways | told else max(told)


def way_of_cells(fits: Sequence[Mapping[str, int]]) -> int:
    """The same of numbers outside the cells of one side and inside those of the other."""
    count, forward, backward = (sum(f[key] for f in fits) for key in ("crossing", "forward", "backward"))
    if count < CROSSING_CELLS:
        return 0
    if forward <= FEW_OUTSIDE * count and backward >= MANY_OUTSIDE * count:
        return 1
    return -1 if backward <= FEW_OUTSIDE * count and forward >= MANY_OUTSIDE * count else 0


def _way_of(count: int, forward: float, backward: float) -> int:
    if count < CROSSING:
        return 0
    if NEAR[0] <= forward <= NEAR[1] and backward >= APART * forward:
        return 1
    return -1 if NEAR[0] <= backward <= NEAR[1] and forward >= APART * backward else 0


def _undetermined(name: str, model: int, relation: str, what: str, way: int) -> Weighing:
    if way < 0:
        why = (
            f"{what}, and the rounding is that of {name}: it was made from the suspect, or both from a "
            f"third model"
        )
        live: tuple[tuple[str, str], ...] = (("shared-ancestor", why),)
    else:
        why = f"{what}; an adapter over {name}, and adapters over a base of both, look alike here"
        live = (
            (relation, why),
            ("shared-ancestor", f"{why}; the base, or a second fine-tune, would decide"),
        )
    return Weighing(relation, Status.UNDETERMINED, models=(model,), live=live, against=why)


def _what(finding: Finding, rows: Sequence[Row]) -> str:
    ranks = sorted(row["rank"] for row in rows)
    span = f"rank {ranks[0]}" if ranks[0] == ranks[-1] else f"ranks {ranks[0]} to {ranks[-1]}"
    if any(row["scaled"] for row in rows):
        span = f"{_at_most(rows) or span}, with rows scaled (DoRA),"
    return f"the change is of {span} in {len(rows)} of {len(finding.tensors)} matrices looked at"


def _at_most(rows: Sequence[Row]) -> str:
    """Where scales were estimated by themselves: what they are off by looks like a few directions more."""
    bound = any(row["scaled"] and not _by_cells(row) for row in rows)
    return f"a rank of at most {max(row['rank'] for row in rows)}" if bound else ""


def _is_abliteration(direction: Mapping[str, Any] | None) -> bool:
    if direction is None or not direction["informative"]:
        return False
    shared = all(r["along"] >= ALONG and r["alike"] >= ALIKE for r in direction["rows"])
    share = direction["matches"] / direction["informative"]
    return bool(shared and share >= REPLAYED)


def _strength(direction: Mapping[str, Any]) -> str:
    """With its interval, which evidence of earlier versions does not hold."""
    told = f"strength {direction['strength']:.3g}"
    if "low" not in direction:
        return told
    low, high = direction["low"], direction["high"]
    return f"{told}, {low:.6g} to {high:.6g} at {100 * direction['level']:g} %"


def _sentence(name: str, finding: Finding, rows: Sequence[Row], relation: str) -> str:
    changed = finding.measures["changed_matrices"]
    if relation == "abliteration":
        direction = finding.measures["direction"]
        share = direction["matches"] / direction["informative"]
        return (
            f"is {name} with one direction taken out of {changed} matrices ({_strength(direction)}): "
            f"made again with the direction estimated, {share:.1%} of "
            f"{direction['informative']:,} changed numbers are equal"
        )
    usual = Counter(row["rank"] for row in rows).most_common(1)[0][0]
    rank = f"rank {usual}" if all(row["rank"] == usual for row in rows) else f"mostly rank {usual}"
    scaled = ", its rows scaled (DoRA)" if any(row["scaled"] for row in rows) else ""
    rank = _at_most(rows) or rank
    whole = len(finding.tensors) - len(rows)
    saved = f"; {whole} of those looked at changed as a whole" if whole else ""
    return (
        f"is {name} with a change of {rank} in {changed} matrices, as an adapter merged into it "
        f"makes{scaled}{saved}"
    )


def _excluded(name: str, what: str, rows: Sequence[Row], way: int) -> tuple[tuple[str, str], ...]:
    tail = f"{what}, and {_beyond(rows)}"
    found = [("fine-tune", tail), ("linear-merge", tail.replace("a full", "a blend with a full"))]
    if way > 0:
        arrow = (
            f"numbers that moved to another binade are off as the suspect's rounding makes them, and not "
            f"as {name}'s: it was stored after the change, and once"
        )
        found.append(("shared-ancestor", arrow))
    else:
        found.append(("shared-ancestor", f"{name} sits where the suspect and another model part"))
    return (*found, ("copy", what), ("independent", what))


def _beyond(rows: Sequence[Row]) -> str:
    seen, fits = [r for r in rows if not _by_cells(r)], [r["fit"] for r in rows if _by_cells(r)]
    told = []
    if seen:
        most = max(row["excess"] for row in seen)
        told.append(
            f"beyond it there is {most:.2f} times what storage rounding leaves: a full fine-tune leaves "
            f"more"
        )
    if fits:
        numbers, outside, less = (sum(f[key] for f in fits) for key in ("elements", "outside", "less"))
        told.append(
            f"such a product, added, rounds to {1 - outside / numbers:.1%} of the suspect's numbers, and "
            f"one of a rank less to {1 - less / numbers:.1%}: what a full fine-tune left is no such product"
        )
    return "; ".join(told)


def _limits(finding: Finding, relation: str, name: str) -> tuple[str, ...]:
    measures, looked = finding.measures, len(finding.tensors)
    limits = []
    if relation == "adapter-fine-tune":
        limits.append(
            "An adapter merged at part of its strength, several adapters added up, and a difference cut to "
            "a low rank look the same; the scaling cannot be told from the factors."
        )
    if looked < measures["changed_matrices"]:
        limits.append(f"{looked} of {measures['changed_matrices']} changed matrices were decomposed.")
    if measures["changed_vectors"]:
        limits.append(f"{measures['changed_vectors']} vectors differ from those of {name} as well.")
    return tuple(limits)
