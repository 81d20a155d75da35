"""Copy what is worth keeping of a run: dossiers, reports, answers, what each step took; no weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from examples.affair.steps import Done

__all__ = ["KEPT", "keep"]

KEPT = (
    "dossier.json",
    "dossier.html",
    "report.json",
    "interview.json",
    "training.json",
    "randopt.json",
    "swireasoning.json",
)


def keep(work: Path, out: Path, done: Sequence[Done]) -> None:
    """``out`` gets a folder a step that wrote anything to read, what it printed, and ``run.json``."""
    out.mkdir(parents=True, exist_ok=True)
    for step in (d.step for d in done):
        for name in KEPT:
            if (work / step / name).is_file():
                (out / step).mkdir(exist_ok=True)
                shutil.copyfile(work / step / name, out / step / name)
        printed = work / f"{step}.txt"
        if step.startswith("dossier") and printed.is_file():
            shutil.copyfile(printed, out / step / "dossier.txt")
    rows = [{k: v for k, v in asdict(d).items() if k != "key"} for d in done]
    (out / "run.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
