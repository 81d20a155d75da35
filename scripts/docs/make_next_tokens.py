"""Write the tables of error rates of next tokens into docs/relations.md and docs/interview.md.

    python -m scripts.docs.make_next_tokens

From docs/data/descent.json and docs/data/line.json, which scripts/cases/descent_trained.py and
scripts/cases/line_coverage.py made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from parentage.numerics.shares.intervals_binomial import clopper_pearson

__all__ = ["DESCENT", "LATER", "LINE", "PAGES", "descent_rows", "placed_of", "told_apart"]

ROOT = Path(__file__).resolve().parents[2]
DESCENT, LINE = ROOT / "docs" / "data" / "descent.json", ROOT / "docs" / "data" / "line.json"
LEVEL = 0.01
OTHERS = ("another base", "a sibling", "a twin")
DOSES = {
    "20 gentle steps": "20 steps at 5e-5",
    "100 gentle steps": "100 steps at 5e-5",
    "20 steps": "20 steps at 5e-4",
    "100 steps": "100 steps at 5e-4",
    "400 steps": "400 steps at 5e-4",
}
WAYS = {
    "transformers": "a folder, by transformers",
    "llama.cpp": "a GGUF file in 8 bits, by llama.cpp",
    "endpoint": "the same, as behind an endpoint, parents beside it",
}
LATER = (20, 100)
Rows = Sequence[Mapping[str, Any]]


def descent_rows() -> list[dict[str, Any]]:
    """Every pair of every panel."""
    found: list[dict[str, Any]] = json.loads(DESCENT.read_text("utf-8"))
    return found


def told_apart(rows: Rows, first: str, second: str) -> Counter[str]:
    """To which of two the suspects were told closer, "" where it was left open."""
    said: Counter[str] = Counter()
    for row in rows:
        if row["pair"] == [first, second]:
            near = row["pair"][0 if row["closer"][0] > row["closer"][1] else 1]
            said[near if row["p"] < LEVEL else ""] += 1
    return said


def _descent() -> Iterator[str]:
    yield "| trained | another base | a sibling | a twin | one of two siblings singled out |"
    yield "|---|---|---|---|---|"
    rows = descent_rows()
    for dose, words in DOSES.items():
        own = [r for r in rows if r["dose"] == dose]
        cells = [_three(told_apart(own, "its base", other), other) for other in OTHERS]
        yield f"| {words} | {' | '.join(cells)} | {_pair(_singled(own))} |"
    cells = [_wrong(told_apart(rows, "its base", other), other) for other in OTHERS]
    yield f"| told wrongly, in all | {' | '.join(cells)} | {_pair(_singled(rows))} |"


def _three(said: Counter[str], other: str) -> str:
    return f"{said['its base']} own, {said['']} open, {said[other]} other"


def _wrong(said: Counter[str], other: str) -> str:
    return _pair((said[other], said.total()))


def _singled(rows: Rows) -> tuple[int, int]:
    said = told_apart(rows, "a sibling", "a sibling")
    return said["a sibling"], said.total()


def _pair(counts: tuple[int, int]) -> str:
    low, high = clopper_pearson(*counts)
    return f"{counts[0]} of {counts[1]} ({100 * low:.1f} to {100 * high:.1f} %)"


def placed_of(way: str, later: Sequence[int]) -> tuple[int, int, int]:
    """Suspects that were run so and trained on for so many steps: rightly placed, placed, all."""
    rows = [r for r in json.loads(LINE.read_text("utf-8")) if r["way"] == way and r["later"] in later]
    placed = [r for r in rows if r["low"] is not None]
    return sum(r["low"] <= r["share"] <= r["high"] for r in placed), len(placed), len(rows)


def _line() -> Iterator[str]:
    yield (
        "| the suspect is run | merges that were placed | of these, the interval holds the share "
        "| trained on afterwards, and placed |"
    )
    yield "|---|---|---|---|"
    for way, words in WAYS.items():
        right, placed, total = placed_of(way, (0,))
        _, wrong, changed = placed_of(way, LATER)
        yield f"| {words} | {placed} of {total} | {_pair((right, placed))} | {_pair((wrong, changed))} |"


PAGES = {
    ROOT / "docs" / "relations.md": ("descent", _descent),
    ROOT / "docs" / "interview.md": ("placed", _line),
}


def page(text: str, mark: str, lines: Iterator[str]) -> str:
    """The text with the lines between ``<!-- mark: … -->`` and ``<!-- end of mark -->``."""
    before, _, rest = text.partition(f"<!-- {mark}:")
    head, _, rest = rest.partition("-->\n")
    _, _, after = rest.partition(f"<!-- end of {mark} -->")
    made = "\n".join(lines)
    return f"{before}<!-- {mark}:{head}-->\n{made}\n<!-- end of {mark} -->{after}"


def main() -> None:
    """Write both."""
    for path, (mark, lines) in PAGES.items():
        path.write_text(page(path.read_text("utf-8"), mark, lines()), encoding="utf-8")


if __name__ == "__main__":
    main()
