"""Put merges that ``make_thinned_merges.py`` had a tool make through the recognition pass: named as what?

    python -m tests.recognition.thinned_run MERGES [--only METHOD …]

Goes on where it was interrupted; ``docs/data/recognition_thinned.json`` keeps each answer. The pass alone
is run, on the whole tensors, with all three models as parents and none said to be the base, by the
recognisers of these methods.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parentage.checkpoints.formats.safetensors_writer import StoredTensor
from parentage.evidence.recognition.registry import recognisers
from parentage.records.recognition import Recognition
from tests.methods.readers import tensors_of
from tests.recognition.passes import recognition_of
from tests.worlds.planted import Model

__all__ = ["TARGET", "judged", "main"]

TARGET = Path(__file__).resolve().parents[2] / "docs" / "data" / "recognition_thinned.json"

OURS = ("arcee_fusion", "sce", "nearswap", "thinned-by-size", "thinned-by-chance")


def _model(path: Path) -> Model:
    return {
        n: StoredTensor(dtype, bits.shape, bits.reshape(-1))
        for n, (dtype, bits) in tensors_of(path).items()
    }


def judged(found: Recognition, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What replays, or which pattern was found; and whether its numbers are those that were typed."""
    replay = next((r for r in found.replays if r.subject == 0 and r.matches == r.informative), None)
    row: dict[str, Any] = {"true": recipe["method"], "models": recipe["models"], "dtype": recipe["dtype"]}
    row["tried"] = found.tried
    pattern = next((f for f in found.findings if f.kind == "thinned-by-chance"), None)
    if replay is not None:
        row |= {"said": replay.method, "by": "replay", "label": replay.label}
        row["numbers"] = _same(replay.numbers.each, recipe, [k - 1 for k in replay.operands])
        row["alike"] = sorted({a.method for a in replay.alike} - {replay.method})
    elif pattern is not None:
        by_rank = any(not p["whole"] and p["epsilon"][1] > 0 for p in pattern.measures["parents"])
        row |= {
            "said": "della" if by_rank else "dare",
            "by": "pattern",
            "seed": str(pattern.measures["seed"]),
        }
        row["densities"] = _densities(pattern.measures["parents"], recipe, [k - 1 for k in pattern.models])
    else:
        best = max((r.matches / r.informative for r in found.replays), default=0.0)
        row |= {"said": "undetermined", "by": "nothing", "nearest": best}
    return row


def _letters(operands: list[int]) -> list[str]:
    return ["OAB"[k] for k in operands]


def _same(each: Any, recipe: Mapping[str, Any], operands: list[int]) -> bool:
    """Densities, gammas and epsilons by model."""
    if not each:
        return True
    true = dict(zip(recipe["models"][1:], recipe["each"], strict=True))
    found = dict(zip(_letters(operands), each, strict=True))
    keys = ("density", "gamma", "epsilon")
    return all(found.get(m, {}).get(k) == row.get(k) for m, row in true.items() for k in keys)


def _densities(parents: Any, recipe: Mapping[str, Any], operands: list[int]) -> bool:
    """Do the intervals hold the truth?"""
    true = dict(zip(recipe["models"][1:], recipe["each"], strict=True))
    told = dict(zip(_letters(operands)[1:], parents, strict=True))
    return all(m in told and not told[m]["whole"] and _holds(told[m], true[m]) for m in true)


def _holds(told: Any, true: Mapping[str, float]) -> bool:
    return bool(told["density"][1] <= true["density"] <= told["density"][2])


def main() -> None:
    """Judge what is not in the file yet, writing after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("merges", type=Path)
    parser.add_argument("--only", nargs="*", default=[])
    asked = parser.parse_args()
    recipes = json.loads((asked.merges / "recipes.json").read_text())
    models = {m: _model(asked.merges / f"{m}.safetensors") for m in "OAB"}
    among = [r for r in recognisers() if r.id in OURS]
    rows = json.loads(TARGET.read_text()) if TARGET.exists() else {}
    # One of each method, then the second of each: an interrupted run is a smaller one.
    for name in sorted(recipes, key=lambda n: (int(n.split("-")[-1]), n)):
        if name in rows or (asked.only and name.split("-")[0] not in asked.only):
            continue
        suspect = _model(asked.merges / f"{name}.safetensors")
        found = recognition_of(suspect, models, "OAB", among=among)
        rows[name] = judged(found, recipes[name])
        TARGET.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
        print(name, rows[name], flush=True)


if __name__ == "__main__":
    main()
