"""Write the recipe of the merge: `parentage merge` reads it, and so does mergekit.

python -m examples.affair.recipes OUT NEX BASE          # rio.yaml
python -m examples.affair.recipes OUT NEX BASE MORE …   # space.yaml: every weight free, to be searched
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["WEIGHTS", "main", "recipe", "space"]

WEIGHTS = (0.57, 0.43)


def recipe(nex: str, base: str) -> str:
    """YAML of a linear merge with the affair's weights."""
    return _linear(zip((nex, base), map(str, WEIGHTS), strict=True))


def space(*models: str) -> str:
    """YAML for `parentage explore search`: a linear merge, each weight from 0 to 1."""
    return _linear((model, "{low: 0, high: 1}") for model in models)


def _linear(parents: Iterable[tuple[str, str]]) -> str:
    lines = [f"  - model: {m}\n    parameters: {{weight: {w}}}" for m, w in parents]
    return "\n".join(["merge_method: linear", "models:", *lines, "out_dtype: bfloat16", ""])


def main() -> None:
    """Write it with the parents' places relative to nothing: absolute, so that it may be moved."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    first, second, *more = map(os.path.abspath, sys.argv[2:])
    if more:
        (out / "space.yaml").write_text(space(first, second, *more), encoding="utf-8")
    else:
        (out / "rio.yaml").write_text(recipe(first, second), encoding="utf-8")


if __name__ == "__main__":
    main()
