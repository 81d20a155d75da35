"""Neurons, heads and hidden dimensions in another order than a model's, in words and for a report."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.alignment import OrderLook, UnitOrder
from parentage.records.findings import Reordering
from parentage.verdicts.readings import Readings

__all__ = ["look_limits", "looked", "orders_told", "reordered_units", "reorderings", "searched"]

NONE_FOUND = Absent("neurons, heads and hidden dimensions stand in the same order in all models")
NOT_SEARCHED = Absent("other orders of neurons and heads were not looked for")
NOT_TO_THE_END = Absent("other orders of neurons and heads were not looked for to the end")


def searched(readings: Readings) -> bool:
    """Were other orders of layers, neurons and heads looked for in the content?"""
    found = readings.evidence.alignment
    return not isinstance(found, Absent) and found.by_content


def looked(readings: Readings) -> OrderLook | None:
    """The look over a network, where one was taken."""
    found = readings.evidence.alignment
    if isinstance(found, Absent) or isinstance(found.look, Absent):
        return None
    return found.look


def look_limits(readings: Readings) -> tuple[str, ...]:
    """What the look over a network leaves open."""
    look, limits = looked(readings), list[str]()
    if look is None:
        return ()
    if look.on_sample:
        limits.append(
            f"Over a network, orders that one tensor shows were tried on others at the places of the "
            f"sample alone: {look.on_sample:,} met so."
        )
    if look.not_sought:
        limits.append(
            f"Other orders were not looked for to the end in {len(look.not_sought):,} tensors "
            f"({look.not_sought[0]} …) over a network: {look.needed / 1e6:,.1f} MB would be needed; "
            f"--budget raises what may be read."
        )
    return tuple(limits)


def _orders(readings: Readings, model: int) -> list[UnitOrder]:
    found = readings.evidence.alignment
    return [] if isinstance(found, Absent) else [o for o in found.orders if o.model == model]


def reordered_units(readings: Readings, model: int) -> tuple[str, ...]:
    """What stands in another order or has another factor than the model's: ``neurons``, ``values`` ..."""
    return tuple(dict.fromkeys(o.unit for o in _orders(readings, model)))


def reorderings(readings: Readings) -> tuple[Reordering, ...] | Absent:
    """All of it, layers together, in the order of the models."""
    look = looked(readings)
    if not searched(readings) and look is None:
        return NOT_SEARCHED
    found = [r for i in readings.others for r in _of_model(readings, i)]
    return tuple(found) or (NOT_TO_THE_END if look is not None and look.not_sought else NONE_FOUND)


def _of_model(readings: Readings, model: int) -> list[Reordering]:
    together: dict[tuple[str, int, bool], list[UnitOrder]] = {}
    for order in _orders(readings, model):
        together.setdefault((order.unit, order.units, order.one_order), []).append(order)
    return [_reordering(readings.name(model), several) for several in together.values()]


def _reordering(name: str, several: Sequence[UnitOrder]) -> Reordering:
    layers = (o.layer for o in several)
    return Reordering(
        model=name,
        unit=several[0].unit,
        layers=tuple(sorted(n for n in layers if not isinstance(n, Absent))),
        units=sum(o.units for o in several),
        moved=sum(o.moved for o in several),
        multiplied=sum(o.multiplied for o in several),
        scaled=sum(o.scaled for o in several),
        one_order=several[0].one_order,
    )


def orders_told(readings: Readings, model: int) -> tuple[str, ...]:
    """A sentence for each kind of unit, to stand among a verdict's limits."""
    return tuple(_sentence(r) for r in _of_model(readings, model))


def _sentence(found: Reordering) -> str:
    done = []
    if found.moved:
        done.append(
            f"{found.moved:,} of {found.units:,} {found.unit} stand in another place than in {found.model}"
        )
    if found.multiplied:
        done.append(
            f"{found.multiplied:,} {found.unit} are those of {found.model} times a power of two or negated"
        )
    told = " and ".join(done) + ": undone before comparing" if done else ""
    rest = f"{found.scaled:,} {found.unit} are those of {found.model} times another factor: not undone"
    fit = (
        ""
        if found.one_order
        else "; its tensors show different orders, with which it would not compute the same"
    )
    return "; ".join(filter(None, (told, rest if found.scaled else ""))) + fit + "."
