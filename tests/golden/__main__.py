"""Write the golden reports anew: ``python -m tests.golden [--measure] [--archive] [CASE …]``.

Look at ``git diff tests/golden`` before committing: each change there is one that a reader will see.
"""

from __future__ import annotations

import argparse
import os
import re

from parentage import __version__, api
from parentage.records.json_files import write_text
from tests.archive.keeping import keep_dossier
from tests.golden.cases import CASES, FOLDER, ROOT, Case, evidence_of, expected, report_of

__all__ = ["main"]

ARCHIVED = ("merge", "merge-trained", "look-alike")


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the evidence anew as well")
    parser.add_argument(
        "--archive", action="store_true", help="keep the files for this version: at its release, not after"
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; all without any")
    chosen = parser.parse_args()
    # Locators are kept as given, from here.
    os.chdir(ROOT)
    for name in chosen.cases or CASES:
        if chosen.measure:
            _measure(CASES[name])
        _render(CASES[name])
        if chosen.archive and name in ARCHIVED:
            _archive(CASES[name])
    if chosen.archive:
        keep_dossier(ROOT / "tests" / "archive" / __version__)
    _show_example()


def _show_example() -> None:
    document = ROOT / "docs" / "reports.md"
    example = (FOLDER / "merge.report.txt").read_text(encoding="utf-8")
    block = re.compile(r"^```text\n.*?^```$", re.M | re.S)
    told = block.sub(lambda _: f"```text\n{example}```", document.read_text(encoding="utf-8"), count=1)
    write_text(document, told)


def _measure(case: Case) -> None:
    found = api.audit(case.suspect, parents=case.parents, controls=case.controls, full=True, workers=1)
    api.save_evidence(found.evidence, evidence_of(case))


def _archive(case: Case) -> None:
    folder = ROOT / "tests" / "archive" / __version__
    folder.mkdir(exist_ok=True)
    for path in (evidence_of(case), FOLDER / f"{case.name}.report.json"):
        write_text(folder / path.name, path.read_text(encoding="utf-8"))


def _render(case: Case) -> None:
    report = report_of(case)
    for path, render in expected(case).items():
        write_text(path, render(report))
    print(f"{case.name}: {report.verdict.sentence}")


if __name__ == "__main__":
    main()
