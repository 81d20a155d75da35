"""Count what each training run of a finished affair left in its model, as a second model of the table.

    python -m scripts.training.second_model build/affair/small docs/data/training-small.json

Nothing is trained here and nothing audited: each model of the run is compared with what it was made from.
Rows that are there already are kept; those of runs that did not take place are left out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scripts.training.changes import compare

__all__ = ["PAIRS", "main"]

PAIRS = (
    ("honest-merge", "distilled", "distill"),
    ("base", "nex", "sft"),
    ("base", "nex/checkpoints/step-*", "sft"),
    ("base", "teacher", "sft"),
    ("base", "honest-entities", "sft"),
    ("base", "lora", "lora"),
    ("teacher", "rl", "rl"),
    ("base", "randopt/member-01", "randopt"),
)
"""What it was made from, the model, the kind of training."""


def _settings(place: Path, kind: str) -> tuple[str, float]:
    """In words, and the dose: the sum of the steps' rates, or σ."""
    if kind == "randopt":
        sigma = json.loads((place / "training.json").read_text("utf-8"))["settings"]["sigma"]
        return f"sigma {sigma:g}", float(sigma)
    run = place if (place / "training.json").is_file() else place.parents[1]
    told = json.loads((run / "training.json").read_text("utf-8"))
    rates = told["rates"]
    if place.parent.name == "checkpoints":
        rates = rates[: int(place.name.removeprefix("step-"))]
    optimizer = told["settings"]["course"]["optimizer"]
    words = f"{len(rates)} of {optimizer['steps']} steps" if len(rates) < optimizer["steps"] else ""
    words = words or f"{optimizer['steps']} steps"
    return f"{words} of {optimizer['batch']}, peak {optimizer['rate']:g}", float(sum(rates))


def _pairs(run: Path) -> Iterator[tuple[str, Path, str]]:
    for before, after, kind in PAIRS:
        yield from ((before, place, kind) for place in sorted(run.glob(after)) if place.is_dir())


def main() -> None:
    """Count what is missing; rows are kept after each."""
    run, target = Path(sys.argv[1]), Path(sys.argv[2])
    rows: list[dict[str, Any]] = json.loads(target.read_text("utf-8")) if target.is_file() else []
    for before, place, kind in _pairs(run):
        name = str(place.relative_to(run))
        if any(row["model"] == name for row in rows):
            continue
        settings, dose = _settings(place, kind)
        told = {"model": name, "before": before, "kind": kind, "settings": settings, "dose": dose}
        rows.append({**told, **asdict(compare(run / before, place))})
        print(name, settings, rows[-1]["share"], flush=True)
        target.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
