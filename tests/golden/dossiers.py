"""Golden dossiers, on saved evidence, answers and cards; ``python -m tests.golden.dossiers`` writes them.

Look at ``git diff tests/golden`` before committing: each change there is one that a reader will see.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from parentage import api
from parentage.records.dossier import Dossier
from parentage.records.json_files import write_text
from parentage.reports.dossier_html import render
from parentage.reports.dossier_text import render_text
from tests.verdicts.dossier.worlds import CLOSED, OPEN_CARD, composed, unlike

__all__ = ["CASES", "FOLDER", "PAGE", "expected", "shown"]

ROOT: Final = Path(__file__).resolve().parents[2]
FOLDER: Final = Path(__file__).resolve().parent / "dossiers"
PAGE: Final = ROOT / "docs" / "dossier.md"
BLOCK: Final = re.compile(r"(<!-- golden -->\n```text\n).*?(^```$)", re.M | re.S)
CASES: Final[Mapping[str, Callable[[], Dossier]]] = {
    "undisclosed": lambda: composed("merge", CLOSED, unlike()),
    "disclosed": lambda: composed("merge", OPEN_CARD, unlike()),
    "look-alike": lambda: composed("look-alike", CLOSED, unlike()),
}


def expected() -> dict[Path, str]:
    """Every golden file with what this version makes of it; JSON and page of the first alone, for size."""
    made = {name: make() for name, make in CASES.items()}
    found = {FOLDER / f"{name}.txt": render_text(dossier) for name, dossier in made.items()}
    first = made["undisclosed"]
    found[FOLDER / "undisclosed.html"] = render(first)
    found[FOLDER / "undisclosed.json"] = api.render_json(first)
    return found


def shown(text: str) -> str:
    """The page on dossiers with the golden text in it."""
    golden = render_text(CASES["undisclosed"]())
    return BLOCK.sub(lambda m: f"{m[1]}{golden}{m[2]}", text)


def main() -> None:
    """Write all."""
    FOLDER.mkdir(exist_ok=True)
    for path, text in expected().items():
        write_text(path, text)
    write_text(PAGE, shown(PAGE.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
