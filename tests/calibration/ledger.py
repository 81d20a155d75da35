"""The calibration's memory: outcomes as JSON lines, evidence beside them, both tied to the code.

A run that was interrupted goes on where it stopped. Evidence depends on what measures; outcomes also
on what judges: when only the rules of judging change, saved evidence is judged again, not measured.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import parentage
from parentage.records.codec import from_plain, to_plain
from parentage.records.evidence import Evidence
from tests.calibration.outcomes import Outcome, outcome_of
from tests.worlds.planted import Truth

__all__ = ["Ledger", "judged_again", "judging_version", "measuring_version"]

SOURCE = Path(parentage.__file__).parent
TESTS = Path(__file__).resolve().parents[1]
# Where the measuring passes and the judging begin; what they import follows from the sources.
PLANTING = ("drawing.py", "nulls.py", "null_merges.py", "merges.py")
MEASURING = ("parentage.evidence.measure", "parentage.evidence.inputs.opening")
JUDGING = ("parentage.verdicts.judge",)


def _imported(roots: tuple[str, ...]) -> set[Path]:
    """The package's files that these modules reach."""
    found: set[Path] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = SOURCE.parent.joinpath(*name.split(".")).with_suffix(".py")
        if not path.exists() or path in found:
            continue
        found.add(path)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("parentage"):
                waiting += [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
    return found


@cache
def measuring_version() -> str:
    """Digest of all code that plants and measures."""
    files = _imported(MEASURING) | set((TESTS / "worlds").glob("planted*.py"))
    files |= {TESTS / "calibration" / n for n in PLANTING}
    return _digest(sorted(files))


@cache
def judging_version() -> str:
    """Digest of all code that measures and judges."""
    files = _imported(JUDGING) - _imported(MEASURING) | {TESTS / "calibration" / "outcomes.py"}
    return f"{measuring_version()}-{_digest(sorted(files))}"


def _digest(files: list[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:12]


def _saved(path: Path) -> tuple[Truth, Evidence]:
    with gzip.open(path, "rt") as file:
        saved = json.load(file)
    return from_plain(Truth, saved["truth"]), from_plain(Evidence, saved["evidence"])


def judged_again(path: Path) -> Outcome:
    """The outcome of saved evidence under today's rules."""
    outcome: Outcome = json.loads(json.dumps(outcome_of(*_saved(path))))
    return outcome


class Ledger:
    """A folder with one line an outcome, and the evidence that each rests on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines = folder / f"outcomes-{judging_version()}.jsonl"
        self._known = {(o["kind"], o["seed"]): o for o in self._read()}

    def _read(self) -> Iterator[Outcome]:
        if self.lines.exists():
            for line in self.lines.read_text().splitlines():
                try:
                    yield json.loads(line)
                except json.JSONDecodeError:
                    # The line at which an earlier run was interrupted.
                    continue

    def outcomes(self) -> list[Outcome]:
        """All outcomes under the present code, by kind and seed."""
        return [self._known[k] for k in sorted(self._known)]

    def known(self, kind: str, seed: int) -> Outcome | None:
        """The outcome under the present code, from its line or by judging saved evidence again."""
        found = self._known.get((kind, seed))
        if found is not None:
            return found
        path = self._evidence(kind, seed)
        if not path.exists():
            return None
        return self._append(*_saved(path))

    def record(self, truth: Truth, evidence: Evidence) -> Outcome:
        """Save the evidence, judge it and keep the outcome."""
        path = self._evidence(truth.kind, truth.seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        with gzip.open(partial, "wt", compresslevel=4) as file:
            json.dump({"truth": to_plain(truth), "evidence": to_plain(evidence)}, file)
        partial.replace(path)
        return self._append(truth, evidence)

    def _append(self, truth: Truth, evidence: Evidence) -> Outcome:
        outcome = json.loads(json.dumps(outcome_of(truth, evidence)))
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.lines.open("a") as file:
            file.write(json.dumps(outcome) + "\n")
        self._known[(truth.kind, truth.seed)] = outcome
        return outcome

    def _evidence(self, kind: str, seed: int) -> Path:
        place = kind.replace(":", "-")
        return self.folder / f"evidence-{measuring_version()}" / place / f"{seed}.json.gz"
