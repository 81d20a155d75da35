"""Audit the merges that ``make_recognition_merges.py`` had a tool make: what are they recognised as?

    python -m tests.recognition.run MERGES [--only METHOD …]

Goes on where it was interrupted; ``docs/data/recognition.json`` is what ``docs/methods.md`` renders.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parentage import api
from parentage.records.absence import Absent
from parentage.records.recognition import MethodReplay, Recognition

__all__ = ["TARGET", "judged", "main"]

TARGET = Path(__file__).resolve().parents[2] / "docs" / "data" / "recognition.json"
# Of each tensor in the pass that recognition does not rest on: it replays whole tensors.
SAMPLE = 256


def judged(suspect: Path, recipe: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """One audit, against all three models of the family: what was said, and whether it is true."""
    parents = [str(folder / f"{recipe['family']}-{m}.safetensors") for m in "OAB"]
    result = api.audit(str(suspect), parents=parents, sample=SAMPLE, workers=1, digests=False)
    verdict, replay = result.report.verdict, _replay(result)
    row: dict[str, Any] = {
        "true": recipe["method"],
        "relation": verdict.relation,
        "status": verdict.status,
        "method": replay.method if replay is not None and _is_verdict(result, replay) else None,
        "sentence": verdict.sentence.replace(str(folder), ""),
    }
    if row["method"] is None and not isinstance(result.report.replay, Absent):
        linear = result.report.replay
        exact = verdict.relation == "linear-merge" and verdict.status == "supported" and linear.match == 1
        row["method"] = "linear" if exact else None
        row["numbers"] = [round(float(w), 6) for w in linear.parameters["weights"]] if exact else None
    elif replay is not None:
        row["numbers"] = _numbers(replay)
        row["alike"] = sorted({r.method for r in replay.alike if r.method != replay.method})
        row["ranges"] = [[r.parameter, r.value, r.low, r.high] for r in replay.ranges]
        row["within"] = _within(replay, recipe, result)
    return row


def _replay(result: api.AuditResult) -> MethodReplay | None:
    found = result.evidence.recognition
    if not isinstance(found, Recognition):
        return None
    return next((r for r in found.replays if r.subject == 0), None)


def _is_verdict(result: api.AuditResult, replay: MethodReplay) -> bool:
    report = result.report
    same = report.verdict.relation == replay.relation and report.verdict.status == "supported"
    return same and not isinstance(report.replay, Absent) and report.replay.method == replay.method


def _numbers(replay: MethodReplay) -> dict[str, Any]:
    return {"each": [dict(r) for r in replay.numbers.each], "shared": dict(replay.numbers.shared)}


def _within(replay: MethodReplay, recipe: Mapping[str, Any], result: api.AuditResult) -> bool | None:
    """Do the ranges hold the true numbers? Proportions, where weights are divided by their sum."""
    letters = [result.evidence.models[k].name.split("-")[-1][0] for k in replay.operands]
    true = dict(zip(recipe["models"], recipe["each"] or [{}] * len(recipe["models"]), strict=True))
    t = recipe["shared"].get("t")
    if set(letters) != set(recipe["models"]):
        return False
    scale = _scale(replay, true, letters)
    ends = []
    for known in replay.ranges:
        if known.parameter == "t" and t is not None:
            wanted = t if letters[0] == recipe["models"][0] else 1 - t
            ends.append(known.low <= wanted <= known.high)
        elif known.parameter == "weight" and not isinstance(known.operand, Absent):
            wanted = true[letters[known.operand]].get("weight")
            slack = 2e-3 if scale != 1 else 1e-12
            near = wanted is not None and known.low - slack <= wanted * scale <= known.high + slack
            ends.append(near)
    return all(ends) if ends else None


def _scale(replay: MethodReplay, true: Mapping[str, Any], letters: list[str]) -> float:
    """What true weights are multiplied by to stand beside the recovered ones."""
    whole = sum(r.get("weight", 0.0) for r in true.values())
    found = sum(r.get("weight", 0.0) for r in replay.numbers.each)
    if replay.method in ("linear", "nuslerp", "multislerp") and whole:
        return float(found / whole)
    factor = replay.numbers.shared.get("lambda", 1.0)
    return 1.0 if factor == 1.0 or not whole else float(found / whole)


def main() -> None:
    """Audit what is not in the file yet, writing after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("merges", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", type=Path, default=TARGET, help="where the rows go")
    asked = parser.parse_args()
    recipes = json.loads((asked.merges / "recipes.json").read_text())
    rows = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    # One of each method, then the second of each: an interrupted run is a smaller one.
    for name in sorted(recipes, key=lambda n: (int(n.split("-")[-1]), n)):
        if name in rows or (asked.only and name.split("-")[0] not in asked.only):
            continue
        rows[name] = judged(asked.merges / f"{name}.safetensors", recipes[name], asked.merges)
        asked.out.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
        print(name, rows[name]["method"], rows[name]["sentence"], flush=True)


if __name__ == "__main__":
    main()
