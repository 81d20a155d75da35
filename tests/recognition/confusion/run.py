"""Audit what ``scripts/fixtures/make_confusion.py`` had other tools make: what is it told to be?

    python -m tests.recognition.confusion.run MADE [--only METHOD …] [--until HH:MM] [--any-code]

Goes on where it was interrupted. A row is kept under its recipe's digest and the version of the code that
judged it (Git's id of ``src/parentage``): a changed recipe or changed code is judged again, unless
``--any-code`` lets older code's rows stand. ``docs/methods.md`` renders ``docs/data/confusion.json``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from parentage import api
from tests.recognition.confusion.draws import DRAWS
from tests.recognition.confusion.scored import facts, held, stated, told

__all__ = ["TARGET", "judged", "main"]

ROOT = Path(__file__).resolve().parents[3]
TARGET = ROOT / "docs" / "data" / "confusion.json"
# Of each tensor in the pass that recognition does not rest on: it replays whole tensors.
SAMPLE = 512


def judged(recipe: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """One audit against all models of the family: what was said, by what, and which numbers it holds."""
    parents = [str(_place(folder / place)) for place in recipe["given"].values()]
    suspect = str(folder / recipe["suspect"])
    started = time.process_time()
    result = api.audit(suspect, parents=parents, sample=SAMPLE, workers=1, digests=False)
    verdict, (method, by) = result.report.verdict, told(result)
    return {
        "true": recipe["method"],
        "relation": verdict.relation,
        "status": verdict.status,
        "method": method,
        "by": by,
        "after": result.report.post_training.status,
        "held": held(result, recipe),
        "numbers": [asdict(one) for one in stated(result, recipe)],
        "facts": facts(result, recipe),
        "sentence": verdict.sentence.replace(str(folder) + "/", ""),
        "seconds": round(time.process_time() - started, 1),
    }


def _place(path: Path) -> Path:
    """A decoder's folder, with its configuration; else the file."""
    return path.parent if (path.parent / "config.json").exists() else path


def code_version() -> str:
    """Git's id of the package's tree; work that is not committed is said to be so."""
    source = "src/parentage"
    found = subprocess.run(
        ["git", "rev-parse", f"HEAD:{source}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    changed = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", source], cwd=ROOT, check=False)
    return found.stdout.strip()[:12] + ("+" if changed.returncode else "")


def _stands(row: Mapping[str, Any] | None, digest: str, code: str, any_code: bool) -> bool:
    return row is not None and row["recipe"] == digest and (any_code or row["code"] == code)


def main() -> None:
    """Judge what has no row yet, writing after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("made", type=Path)
    parser.add_argument("--only", nargs="*", choices=DRAWS, default=list(DRAWS))
    parser.add_argument("--until", default="99:99", help="the time of day at which no further one is begun")
    parser.add_argument("--any-code", action="store_true")
    parser.add_argument("--names", nargs="*", help="these suspects alone")
    parser.add_argument("--first", type=int, default=999, help="so many of each method at most")
    parser.add_argument("--out", type=Path, default=TARGET)
    asked = parser.parse_args()
    recipes = json.loads((asked.made / "recipes.json").read_text())
    rows, code = json.loads(asked.out.read_text()) if asked.out.exists() else {}, code_version()
    # One of each method, then the second of each: an interrupted run is a smaller one.
    for name in sorted(recipes, key=lambda n: (int(n.rsplit("-", 1)[1]), n)):
        recipe = recipes[name]
        few = (not asked.names or name in asked.names) and int(name.rsplit("-", 1)[1]) < asked.first
        fits = few and recipe["method"] in asked.only and time.strftime("%H:%M") < asked.until
        if not fits or _stands(rows.get(name), recipe["digest"], code, asked.any_code):
            continue
        rows[name] = {"recipe": recipe["digest"], "code": code, **judged(recipe, asked.made)}
        asked.out.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
        row = rows[name]
        print(name, row["seconds"], row["relation"], row["status"], row["method"], row["held"], flush=True)


if __name__ == "__main__":
    main()
