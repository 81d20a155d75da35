"""What lies between two models, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.exploring import PathExplored, SuspectPlace
from parentage.records.interview import NameRate
from parentage.reports.randopt_text import share
from parentage.reports.wording import clipped, visible

__all__ = ["MOST_NAMES", "nats", "render_text", "shown_names"]

MOST_NAMES = 5


def shown_names(found: PathExplored) -> tuple[tuple[str, str], ...]:
    """(id, as shown) of the names that are claimed most often anywhere on the line, at most five."""
    best: dict[str, tuple[float, str]] = {}
    for names in [p.names for p in found.points]:
        for rate in () if isinstance(names, Absent) else names:
            before = best.get(rate.name, (0.0, ""))
            best[rate.name] = max(before, (rate.share.estimate, rate.shown))
    order = sorted(best, key=lambda n: (-best[n][0], n))[:MOST_NAMES]
    return tuple((name, best[name][1]) for name in order)


def nats(found: Estimate | Absent) -> str:
    """Nats with their interval."""
    if isinstance(found, Absent):
        return "-"
    return f"{found.estimate:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _share(found: Estimate | Absent) -> str:
    return "-" if isinstance(found, Absent) else share(found).strip()


def _rate(names: tuple[NameRate, ...] | Absent, name: str, asked: int) -> str:
    if isinstance(names, Absent):
        return "-"
    claims = next((r for r in names if r.name == name), None)
    return f"{claims.claims}/{asked}" if claims else f"0/{asked}"


def render_text(found: PathExplored) -> str:
    """A row a point, then the barrier and the suspect's place."""
    names = shown_names(found)
    head = ["weight", "loss (nats a token)", "above the ends' line", "task", *(n for _, n in names)]
    rows = [
        [
            f"{p.weight:.3f}",
            nats(p.loss),
            nats(p.excess),
            _share(p.task),
            *(_rate(p.names, name, p.asked) for name, _ in names),
        ]
        for p in found.points
    ]
    first, second = (clipped(visible(p), 60) for p in (found.first, found.second))
    lines = [f"From {second} (weight 0) to {first} (weight 1)", "", *_table([head, *rows]), ""]
    lines.append(_barrier(found))
    if isinstance(found.suspect, SuspectPlace):
        lines += ["", *_suspect(found.suspect, names)]
    return "\n".join([*lines, "", *found.limits]) + "\n"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    kept = [k for k in range(len(rows[0])) if any(row[k] != "-" for row in rows[1:])]
    widths = [max(len(row[k]) for row in rows) for k in kept]
    return ["  ".join(row[k].ljust(w) for k, w in zip(kept, widths, strict=True)).rstrip() for row in rows]


def _barrier(found: PathExplored) -> str:
    if isinstance(found.barrier, Absent):
        return f"No barrier is told: {found.barrier.reason}."
    height = found.barrier.height
    if height.high <= 0:
        return (
            "The loss is nowhere above the straight line between the ends; it comes closest at weight "
            f"{found.barrier.weight:.3f}: {nats(height)} nats a token."
        )
    return (
        f"The loss is highest above the straight line between the ends at weight "
        f"{found.barrier.weight:.3f}: by {nats(height)} nats a token."
    )


def _suspect(found: SuspectPlace, names: Sequence[tuple[str, str]]) -> list[str]:
    lines = [f"{clipped(visible(found.locator), 60)} {_place(found)}"]
    if found.how:
        lines.append(f"Compared with {found.how}, as the suspect is.")
    lines.append(f"Its loss: {nats(found.loss)}; its task score: {_share(found.task)}")
    if names and not isinstance(found.names, Absent):
        said = ", ".join(f"{shown} {_rate(found.names, name, found.asked)}" for name, shown in names)
        lines.append(f"It says it is: {said}")
    return lines


def _place(found: SuspectPlace) -> str:
    weight, apart = found.weight, found.divergence
    away = ""
    if not isinstance(apart, Absent):
        away = (
            f": {apart.closest:.2g} nats there, {apart.second:.2g} at weight 0, {apart.first:.2g} at "
            f"weight 1 (of next tokens, at least)"
        )
    if isinstance(weight, Estimate):
        old = "" if found.how else ", by a version that placed whatever it was given"
        at = f"{weight.estimate:.3f} [{weight.low:.3f}, {weight.high:.3f}]"
        return f"is closest at weight {at}{old}{away}."
    near = (
        "" if isinstance(found.nearest, Absent) else f"; the nearest blend has weight {found.nearest:.3f}"
    )
    return f"has no place on the line, for {weight.reason}{near}{away}."
