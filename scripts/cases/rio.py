"""The published table of the Rio case beside what the rounding of storage predicts of it.

    python scripts/cases/rio.py [SECTION ...] [--family build/family] [--into docs/cases/rio.md]

Prints the sections of docs/cases/rio.md, every number computed here. No weights of the case are read: the
figures are second-hand, and nothing printed here is a verdict. The section ``real`` needs the MiniLM
family that ``make demo`` fetches.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fit_sections import curve_section, interval_section, sensitivity_section, table_section
from real_weights import real_section
from room_sections import norms_section, training_section

__all__ = ["SECTIONS"]

SECTIONS: dict[str, Callable[[], str]] = {
    "table": table_section,
    "interval": interval_section,
    "curve": curve_section,
    "sensitivity": sensitivity_section,
    "norms": norms_section,
    "training": training_section,
}


def between(name: str, text: str) -> str:
    """A section as it stands in the page, between its marks."""
    return f"<!-- {name} -->\n{text}\n<!-- /{name} -->"


def replaced(page: str, name: str, text: str) -> str:
    """``page`` with the section's text put between its marks; raises KeyError where it has none."""
    start, stop = f"<!-- {name} -->\n", f"\n<!-- /{name} -->"
    if start not in page or stop not in page:
        raise KeyError(name)
    return page[: page.index(start) + len(start)] + text + page[page.index(stop) :]


def main() -> None:
    """Print the sections asked for, all but ``real`` when none is named, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join([*SECTIONS, "real"]))
    parser.add_argument("--family", type=Path, default=Path("build/family"))
    parser.add_argument("--into", type=Path, help="a page whose sections are replaced")
    given = parser.parse_args()
    sections: dict[str, Callable[[], str]] = {**SECTIONS, "real": partial(real_section, given.family)}
    for name in given.sections or SECTIONS:
        if name not in sections:
            parser.error(f"no section {name!r}: choose among {', '.join(sections)}")
        text = sections[name]()
        if given.into is None:
            print(between(name, text), end="\n\n")
        else:
            page = given.into.read_text(encoding="utf-8")
            given.into.write_text(replaced(page, name, text), encoding="utf-8")


if __name__ == "__main__":
    main()
