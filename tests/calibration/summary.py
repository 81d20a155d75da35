"""The tables of the calibration, from its ledger.

python -m tests.calibration.summary [--folder build/calibration] [--file OUTCOMES.jsonl]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

from tests.calibration.judging import (
    COVERED_AT_LEAST,
    COVERED_AT_MOST,
    coverage,
    false_rate,
    interval_rows,
)
from tests.calibration.ledger import Ledger, judged_again
from tests.calibration.merges import MERGE_KINDS
from tests.calibration.nulls import NULL_KINDS
from tests.calibration.outcomes import NEVER_A_MERGE, Outcome, false_events, is_found, worst_weight
from tests.calibration.run import FOLDER

__all__ = ["coverage_table", "main", "null_table", "power_table", "pure_table"]

FALSE = ("false merge", "false training", "false clean merge", "false relation")
# Where the weight of a trained merge must be within .005.
DENSE_UP_TO = 3e-3
# Changes that one standard deviation describes.


def _of(outcomes: Iterable[Outcome], kind: str) -> list[Outcome]:
    return [o for o in outcomes if o["kind"] == kind]


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(c) for c in cells) + " |"


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    return "\n".join([_row(*head), _row(*("---" for _ in head)), *rows])


def null_table(outcomes: Sequence[Outcome]) -> str:
    """False events by kind of null world, with one-sided 95 % bounds."""
    rows = []
    for kind in NULL_KINDS:
        rows.append(_null_row(kind, _of(outcomes, kind)))
    null = [o for o in outcomes if o["kind"] in NULL_KINDS]
    rows.append(_null_row("all never merged", [o for o in null if o["kind"] in NEVER_A_MERGE]))
    rows.append(_null_row("all", null))
    return _table(("kind", "audits", "on real weights", *FALSE, "bound on the first three"), rows)


def _null_row(kind: str, own: Sequence[Outcome]) -> str:
    counts = [false_rate(own, (event,)).count for event in FALSE]
    bound = false_rate(own, FALSE[:3]).upper
    return _row(kind, len(own), sum(o["real"] for o in own), *counts, f"{bound:.2%}")


def coverage_table(outcomes: Sequence[Outcome]) -> str:
    """Coverage of the 95 % intervals by kind of later change, each judged against the band.

    *Reported*: of matrices that pass the merge test for themselves. *First*: one of them a merge.
    *Any*: every interval in the evidence, of matrices too that a report says nothing of.
    """
    rows = []
    for kind in MERGE_KINDS:
        own = [o for o in _of(outcomes, f"merge:{kind}") if o["truth"]["change"]]
        found = interval_rows(own, "likelihood", lambda r: r["passes"])
        if not found:
            continue
        rate = coverage(found)
        low, high = rate.interval
        below = sum(r["high"] < r["alpha"] for r in found)
        said = (
            "below"
            if rate.below(COVERED_AT_LEAST)
            else "above"
            if rate.above(COVERED_AT_MOST)
            else "inside"
        )
        firsts = coverage(
            [r[0] for o in own if (r := interval_rows([o], "likelihood", lambda r: r["passes"]))]
        )
        everything = coverage(interval_rows(own, "likelihood"))
        widths = sorted(r["high"] - r["low"] for r in found)
        rows.append(
            _row(
                kind,
                len(own),
                rate.n,
                f"{rate.share:.3f}",
                f"{low:.3f}–{high:.3f}",
                said,
                f"{firsts.share:.3f} of {firsts.n}",
                f"{below}/{rate.n - rate.count - below}",
                f"{median(widths):.1e}",
                f"{everything.share:.3f} of {everything.n}",
            )
        )
    head = ("change", "merges", "reported", "covered", "95 %", "band", "first", "low/high", "width", "any")
    return _table(head, rows)


def power_table(outcomes: Sequence[Outcome]) -> str:
    """What is found of merges that were changed later."""
    rows = []
    for kind in MERGE_KINDS:
        own = [o for o in _of(outcomes, f"merge:{kind}") if o["truth"]["change"]]
        if not own:
            continue
        found = [o for o in own if is_found(o)]
        strict = [o for o in found if (o["truth"]["sigma"] or 0.0) <= DENSE_UP_TO]
        rows.append(
            _row(
                kind,
                len(own),
                _share(found, own),
                _share([o for o in own if o["post_training"] == "detected"], own),
                _share([o for o in strict if worst_weight(o) <= 0.005], strict),
                _share([o for o in found if _alpha_held(o)], found),
                _sigma(found),
                _share([o for o in found if _near(o["changed"], o["truth"]["changed"])], found),
            )
        )
    head = (
        "change",
        "merges",
        "found",
        "detected",
        "α ±.005",
        "α interval holds",
        "σ ±10 %",
        "share ±10 %",
    )
    return _table(head, rows)


def _sigma(found: Sequence[Outcome]) -> str:
    """How many read the size of what was added to a tenth, and the median of read over true."""
    known = [o for o in found if o["sigma"] and o["truth"]["sigma"]]
    if not known:
        return "–"
    ratio = median(o["sigma"][0] / o["truth"]["sigma"] for o in known)
    return f"{_share([o for o in known if _near(o['sigma'], o['truth']['sigma'])], known)}, × {ratio:.2f}"


def _share(some: Sequence[Outcome], whole: Sequence[Outcome]) -> str:
    return f"{len(some)}/{len(whole)}"


def _weights(outcome: Outcome) -> list[tuple[float, list[float] | None]]:
    return [(w, outcome["parents"].get(name)) for name, w in outcome["truth"]["weights"].items()]


def _alpha_held(outcome: Outcome) -> bool:
    return all(f is not None and f[1] - 1e-6 <= w <= f[2] + 1e-6 for w, f in _weights(outcome))


def _near(found: list[float] | None, truth: float | None) -> bool:
    return found is not None and truth is not None and abs(found[0] - truth) <= 0.1 * truth


def pure_table(outcomes: Sequence[Outcome]) -> str:
    """What is found of merges that nothing happened to."""
    rows = []
    for kind in ("pure", "pure-large", "pure-three"):
        own = _of(outcomes, f"merge:{kind}")
        if not own:
            continue
        found = [o for o in own if is_found(o)]
        held = coverage(interval_rows(own, "feasible"))
        rows.append(
            _row(
                kind,
                len(own),
                _share(found, own),
                _share([o for o in found if o["replay"] and o["replay"]["match"] == 1.0], own),
                _share([o for o in own if o["post_training"] == "not-detected"], own),
                sum(o["post_training"] == "detected" for o in own),
                f"{max((worst_weight(o) for o in found), default=float('nan')):.1e}",
                f"{_largest_error(own):.1e}",
                f"{held.count}/{held.n}",
            )
        )
    head = (
        "kind",
        "merges",
        "found",
        "match 1",
        "not-detected",
        "detected",
        "worst α",
        "worst α, >= 20,000",
        "feasible sets that hold α",
    )
    return _table(head, rows)


def _largest_error(outcomes: Sequence[Outcome]) -> float:
    """Of the feasible sets' middles in 16-bit matrices with 20,000 informative elements; the set of a
    float32 matrix whose parents are a few steps apart is wide, and its weight comes from the replay."""
    narrow = [o for o in outcomes if o["truth"]["notes"].get("dtype") != "F32"]
    rows = interval_rows(narrow, "feasible", lambda r: r["informative"] >= 20_000)
    return max((abs(r["estimate"] - r["alpha"]) for r in rows), default=float("nan"))


TABLES: tuple[tuple[str, Callable[[Sequence[Outcome]], str]], ...] = (
    ("Null audits", null_table),
    ("Pure merges", pure_table),
    ("Merges changed later", power_table),
    ("Coverage of the 95 % intervals of α", coverage_table),
)


def main() -> None:
    """Print every table that the ledger has something for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--file", type=Path, nargs="+", help="outcomes to read instead of the ledger's own")
    parser.add_argument("--errors", action="store_true", help="also list every false statement")
    parser.add_argument("--evidence", type=Path, help="saved evidence to judge again")
    asked = parser.parse_args()
    if asked.evidence:
        outcomes = [judged_again(path) for path in sorted(asked.evidence.rglob("*.json.gz"))]
    elif asked.file:
        outcomes = [json.loads(line) for f in asked.file for line in f.read_text().splitlines()]
    else:
        outcomes = Ledger(asked.folder).outcomes()
    for title, table in TABLES:
        print(f"\n## {title}\n\n{table(outcomes)}")
    if asked.errors:
        print("\n## False statements\n")
        for outcome in outcomes:
            if events := false_events(outcome):
                said = f"{', '.join(events)}: {outcome['relation']}, {outcome['post_training']}"
                print(f"- {outcome['kind']} {outcome['seed']} ({outcome['variant']}): {said}")


if __name__ == "__main__":
    main()
