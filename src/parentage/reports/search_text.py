"""A search of merge recipes for a terminal."""

from __future__ import annotations

from parentage.records.searching import RecipeSearch, TriedRecipe
from parentage.reports.randopt_text import share, signed
from parentage.reports.wording import clipped, visible

__all__ = ["render_text"]

MOST_SHOWN = 16


def render_text(found: RecipeSearch, out: str) -> str:
    """What was tried, the best first; what was chosen on fresh problems, beside its parents."""
    settings, chosen = found.settings, found.chosen
    ranked = sorted(found.tried, key=lambda t: (-t.tuned.estimate, -t.asked))
    lines = [
        f"{len(found.tried)} recipes tried by {settings['strategy']} on {visible(settings['objective'])}: "
        f"{found.spent:,} answers of a budget of {settings['budget']:,}",
        "",
        *(_line(one, one.digest == chosen.digest) for one in ranked[:MOST_SHOWN]),
    ]
    if len(ranked) > MOST_SHOWN:
        lines.append(f"… and {len(ranked) - MOST_SHOWN} more, in the JSON file")
    lines += [
        "",
        f"On {settings['held_out']} held-out problems:",
        f"  {'chosen':40} {share(chosen.held_out.score)}",
    ]
    lines += [f"  {clipped(visible(p.model), 40):40} {share(p.held_out)}" for p in found.parents]
    against = chosen.held_out
    lines += [
        "",
        f"Over-fitting: the chosen recipe's tuned score is {share(chosen.tuned).strip()}, less its "
        f"held-out one: {signed(chosen.over_fitted).strip()} points.",
        f"Against {clipped(visible(chosen.best_parent), 40)}, the best parent, on the same problems: "
        f"{signed(against.difference).strip()} points, p {against.p:.2g}.",
        *found.limits,
        f"The recipe lies in {visible(out)}/best.yaml, which parentage merge takes.",
    ]
    return "\n".join(lines) + "\n"


def _short(name: str) -> str:
    """A parameter's place without the word that says that it is one."""
    return name.replace(".parameters.", " ")


def _line(one: TriedRecipe, chosen: bool) -> str:
    values = ", ".join(f"{visible(_short(name))} {visible(value)}" for name, value in one.values.items())
    mark = "*" if chosen else " "
    return f"{mark} {share(one.tuned)} of {one.asked:4}  {values}"
