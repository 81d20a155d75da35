"""Draw what a run showed, as small SVG files without scripts or fonts of their own.

python -m examples.affair.pictures examples/affair/out/tiny docs/affair
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

__all__ = ["Bar", "bars", "doses", "main"]

WIDTH, LEFT, RIGHT, ROW, TOP = 640, 230, 120, 22, 44
COLOURS = {"nex": "#2b6cb0", "rio": "#c05621", "changed": "#2f855a"}


@dataclass(frozen=True, slots=True)
class Bar:
    """``low`` and ``high``: of its 95 % interval; all three are shares of 1."""

    label: str
    colour: str
    value: float
    low: float
    high: float


def bars(title: str, rows: Sequence[Bar], most: float = 1.0) -> str:
    """Horizontal bars with whiskers and their numbers; ``most``: where the axis ends."""
    scale = (WIDTH - LEFT - RIGHT) / most
    height = TOP + ROW * len(rows) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="12" y="22" font-size="14" fill="#111">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        parts += _row(row, TOP + ROW * number, scale)
    return "\n".join([*parts, "</svg>", ""])


def _row(row: Bar, y: int, scale: float) -> list[str]:
    middle, end = y + 8, LEFT + row.value * scale
    low, high = LEFT + row.low * scale, LEFT + row.high * scale
    return [
        f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end" fill="#333">{escape(row.label)}</text>',
        f'<rect x="{LEFT}" y="{y + 2}" width="{end - LEFT:.1f}" height="12" fill="{row.colour}"/>',
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{middle}" y2="{middle}" stroke="#111"/>',
        f'<text x="{high + 8:.1f}" y="{y + 12}" fill="#333">{100 * row.value:.3g} %</text>',
    ]


def _names(interview: dict[str, Any], shown: dict[str, str]) -> list[Bar]:
    """How often each of those who were asked claims to be Nex or Rio, by condition."""
    found = []
    for subject in interview["subjects"]:
        for group in subject["groups"]:
            if group["language"] != "all":
                continue
            rates = {r["name"]: r["share"] for r in group["names"]}
            for name in ("nex", "rio"):
                if name in rates:
                    s = rates[name]
                    label = f"{shown[subject['label']]}, {group['condition']}: {name.title()}"
                    found.append(Bar(label, COLOURS[name], s["estimate"], s["low"], s["high"]))
    return found


def _changed(report: dict[str, Any]) -> list[Bar]:
    """Share off the replay by component, layers together."""
    counts: dict[str, list[int]] = {}
    for stratum in report["strata"]:
        row = counts.setdefault(stratum["component"], [0, 0])
        row[0] += stratum["off_replay"]
        row[1] += stratum["elements"]
    from parentage.numerics.shares.intervals_binomial import clopper_pearson

    return [
        Bar(f"{name} ({n:,})", COLOURS["changed"], x / n, *clopper_pearson(x, n))
        for name, (x, n) in sorted(counts.items())
    ]


def doses(path: dict[str, Any], name: str) -> list[Bar]:
    """How often each model on the line claims a name, from the second model to the first."""
    from parentage.numerics.shares.intervals_binomial import wilson

    found = []
    for point in path["points"]:
        if point["asked"]:
            claims = sum(r["claims"] for r in point["names"] if r["name"] == name)
            label = f"{point['weight']:.2f} of Nex"
            interval = wilson(claims, point["asked"])
            found.append(Bar(label, COLOURS[name], claims / point["asked"], *interval))
    return found


def main() -> None:
    """Write every picture that the run has data for."""
    run, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for rio in ("uploaded", "claimed"):
        place = run / f"answers-{rio}" / "interview.json"
        if place.is_file():
            who = {"suspect": f"Rio as {rio}", "panel-1": "the base", "panel-2": "Nex"}
            rows = _names(json.loads(place.read_text("utf-8")), who)
            text = bars("Who they say that they are (share of answers, 95 %)", rows)
            (out / f"names-{rio}.svg").write_text(text, encoding="utf-8")
        place = run / f"dossier-{rio}" / "dossier.json"
        if place.is_file():
            rows = _changed(json.loads(place.read_text("utf-8"))["audit"])
            most = max(0.01, *(r.high for r in rows)) * 1.05
            title = f"Rio as {rio}: share of numbers that are not the blend's"
            (out / f"changed-{rio}.svg").write_text(bars(title, rows, most), encoding="utf-8")
    if (run / "path" / "path.json").is_file():
        rows = doses(json.loads((run / "path" / "path.json").read_text("utf-8")), "nex")
        text = bars("Who says Nex, on the line from the base to Nex (95 %)", rows)
        (out / "line.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
