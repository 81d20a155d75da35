"""Write the rates of ``docs/cards.md``: how many of the labelled claims the rules read, kind by kind.

python -m scripts.docs.make_cards          # write the table into the page
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.cards.claims.labelled import labelled_cards  # noqa: E402
from tests.cards.claims.scoring import Score, score  # noqa: E402

__all__ = ["PAGE", "with_rates"]

PAGE = ROOT / "docs" / "cards.md"
_BEGIN = "<!-- rates: written by scripts/docs/make_cards.py -->"
_END = "<!-- end of rates -->"
_TABLE = re.compile(rf"(?s){_BEGIN}\n.*?{_END}")


def with_rates(page: str) -> str:
    """The page with the table as measured now; ``LookupError`` where it has no place for it."""
    table = "\n".join(_rows())
    new, count = _TABLE.subn(lambda _: f"{_BEGIN}\n{table}\n{_END}", page)
    if count != 1:
        raise LookupError("the page has no place for the table")
    return new


def _rows() -> Iterator[str]:
    made_on = score(c for c in labelled_cards() if not c.held_out)
    held_out = score(c for c in labelled_cards() if c.held_out)
    yield "| claim | made on: precision | recall | held out: precision | recall |"
    yield "|---|---|---|---|---|"
    for kind in sorted({*made_on, *held_out}, key=lambda k: (k == "all", k)):
        cells = [text for table in (made_on, held_out) for text in _cells(table.get(kind, Score(0, 0, 0)))]
        yield f"| {kind} | {' | '.join(cells)} |"


def _cells(found: Score) -> tuple[str, str]:
    return f"{found.right} of {found.found}", f"{found.right} of {found.labelled}"


if __name__ == "__main__":
    PAGE.write_text(with_rates(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
