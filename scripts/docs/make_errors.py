"""Write ``docs/errors.md``: every error code that the source raises, in words.

python scripts/docs/make_errors.py          # write the page
python scripts/docs/make_errors.py --check  # exit 1 when it is stale
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from scripts.docs.error_texts import EXIT_CODES, TEXTS
from scripts.docs.raised_codes import Raised, raised_codes

__all__ = ["PAGE", "missing_and_stale", "page"]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
INTRODUCTION = """\
# Errors

<!-- Written by scripts/docs/make_errors.py from the source; edit scripts/docs/error_texts.py. -->

Every error is one message on standard error: what happened, where, and what to try. It begins with a
code in brackets, which stays the same from version to version and is explained here.

    error[input-missing]: there is no such file or folder
      where: models/rio
      try:   check the path

Programs can rely on the code and on the exit code:
"""


def missing_and_stale() -> tuple[list[str], list[str]]:
    """Codes that are raised and not explained, and those that are explained and not raised."""
    raised = {r.code for r in raised_codes()}
    return sorted(raised - set(TEXTS)), sorted(set(TEXTS) - raised)


def page() -> str:
    """The whole page; raises ``KeyError`` for a code without words."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield INTRODUCTION
    yield "| exit code | meaning |"
    yield "|---|---|"
    for number, meaning in EXIT_CODES.items():
        yield f"| {number} | {meaning} |"
    found = raised_codes()
    for number in sorted({r.exit_code for r in found}):
        yield f"\n## Exit code {number}\n"
        yield EXIT_CODES[number]
        for raised in (r for r in found if r.exit_code == number):
            yield from _entry(raised)


def _entry(raised: Raised) -> Iterator[str]:
    meaning, remedy = TEXTS[raised.code]
    yield f"\n### `{raised.code}`\n"
    yield meaning
    yield f"\n*Try:* {remedy}"


def main() -> int:
    """Write or check; exit 1 when a code has no words, or the page is stale."""
    missing, stale = missing_and_stale()
    for code in missing:
        print(f"{code}: raised, and not explained in scripts/docs/error_texts.py", file=sys.stderr)
    for code in stale:
        print(f"{code}: explained in scripts/docs/error_texts.py, and not raised", file=sys.stderr)
    if missing or stale:
        return 1
    if "--check" in sys.argv[1:]:
        return int(PAGE.read_text() != page())
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
