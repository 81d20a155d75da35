"""A RandOpt run for a terminal."""

from __future__ import annotations

import math

from parentage.records.estimate import Estimate
from parentage.records.randopt import Against, RandOptRun
from parentage.reports.wording import visible

__all__ = ["render_text", "share", "signed"]


def share(found: Estimate) -> str:
    """A share in percent with its interval, rounded outwards."""
    return f"{100 * found.estimate:5.1f} % [{_down(found.low):.1f}, {_up(found.high):.1f}]"


def signed(found: Estimate) -> str:
    """A difference in points with its interval, rounded outwards."""
    low, high = _down(found.low), _up(found.high)
    return f"{100 * found.estimate:+5.1f} [{low:+.1f}, {high:+.1f}]"


def _down(value: float) -> float:
    return math.floor(1000 * value) / 10


def _up(value: float) -> float:
    return math.ceil(1000 * value) / 10


def render_text(found: RandOptRun, out: str) -> str:
    """Scores of what was kept and of the vote, against the base's."""
    settings = found.settings
    lines = [
        f"{visible(found.base)}: {len(found.tried)} members tried on {settings['items']} problems of "
        f"{visible(settings['task'])}, {len(found.kept)} kept; {found.answers_asked:,} answers in all",
        "",
        f"{'':12} {'sigma':>8}  {'tuned':24} {'held out':24} {'against the base, points':26} p",
        f"{'base':12} {'':>8}  {share(found.base_tuned):24} {share(found.base_held_out):24}",
    ]
    for member in found.kept:
        head = f"{member.folder:12} {member.sigma:8g}  {share(member.tuned):24}"
        lines.append(f"{head} {_against(member.held_out)}")
    lines.append(f"{'their vote':12} {'':>8}  {'':24} {_against(found.ensemble)}")
    best = found.kept[0]
    lines += [
        "",
        f"The best member's tuned score less its held-out one: {signed(best.over_fitted).strip()} points.",
        *found.limits,
        found.noise_stream,
        f"Members and the record lie in {visible(out)}.",
    ]
    return "\n".join(lines) + "\n"


def _against(found: Against) -> str:
    return f"{share(found.score):24} {signed(found.difference):26} {found.p:.2g}"
