"""Write the recipe of the merge: `parentage merge` reads it, and so does mergekit.

python -m examples.affair.recipes OUT NEX BASE
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["WEIGHTS", "main", "recipe"]

WEIGHTS = (0.57, 0.43)


def recipe(nex: str, base: str) -> str:
    """YAML of a linear merge with the affair's weights."""
    parents = zip((nex, base), WEIGHTS, strict=True)
    lines = [f"  - model: {m}\n    parameters: {{weight: {w}}}" for m, w in parents]
    return "\n".join(["merge_method: linear", "models:", *lines, "out_dtype: bfloat16", ""])


def main() -> None:
    """Write it with the parents' places relative to nothing: absolute, so that it may be moved."""
    out = Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    (out / "rio.yaml").write_text(recipe(*map(os.path.abspath, sys.argv[2:4])), encoding="utf-8")


if __name__ == "__main__":
    main()
