"""Copy what is worth keeping of a run: dossiers, reports, answers, what each step took; no weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from examples.affair.steps import HERE, Done

__all__ = ["KEPT", "keep", "placeless"]

KEPT = (
    "dossier.json",
    "dossier.html",
    "report.json",
    "interview.json",
    "suspect.jsonl",
    "training.json",
    "randopt.json",
    "swireasoning.json",
    "path.json",
    "path.html",
    "search.json",
    "noise.json",
    "best.yaml",
    "scores.json",
    "scores.csv",
    "table.md",
)


def keep(work: Path, out: Path, done: Sequence[Done]) -> None:
    """``out`` gets a folder a step that wrote anything to read, what it printed, and ``run.json``."""
    out.mkdir(parents=True, exist_ok=True)
    for step in (d.step for d in done):
        found = {name: work / step / name for name in KEPT}
        if step.startswith("dossier"):
            found["dossier.txt"] = work / f"{step}.txt"
        for name, place in found.items():
            if place.is_file():
                (out / step).mkdir(exist_ok=True)
                (out / step / name).write_text(placeless(place.read_text("utf-8"), work), encoding="utf-8")
    rows = [{k: v for k, v in asdict(d).items() if k != "key"} for d in done]
    (out / "run.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def placeless(text: str, work: Path) -> str:
    """Places by what follows the working folder, the run's own or this example's: where those lie is one
    machine's own."""
    for root in (Path.cwd(), work.resolve().parent, HERE.parents[1]):
        text = text.replace(f"{root}/", "./")
    return text
