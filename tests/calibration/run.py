"""Run the calibration, or go on with one that was interrupted.

python -m tests.calibration.run --null 250 --merge 125
python -m tests.calibration.run --kinds siblings merge:pure --seeds 40 41
python -m tests.calibration.run --show run-average 17
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from tests.calibration.ledger import Ledger
from tests.calibration.merges import MERGE_KINDS, merge_world
from tests.calibration.nulls import NULL_KINDS, null_world
from tests.calibration.outcomes import Outcome, false_events
from tests.worlds.planted import World, audited

__all__ = ["KINDS", "audit_one", "main", "world"]

FOLDER = Path("build/calibration")
MOST_FAILURES = 5
KINDS = (*NULL_KINDS, *(f"merge:{k}" for k in MERGE_KINDS))


def world(kind: str, seed: int) -> World:
    """The planted world of a kind and seed."""
    if kind.startswith("merge:"):
        return merge_world(kind.removeprefix("merge:"), seed)
    return null_world(kind, seed)


def audit_one(ledger: Ledger, kind: str, seed: int) -> Outcome:
    """The outcome from the ledger, or of an audit that is run now."""
    known = ledger.known(kind, seed)
    if known is not None:
        return known
    planted = world(kind, seed)
    return ledger.record(planted.truth, audited(planted).evidence)


def _planned(asked: argparse.Namespace) -> Iterator[tuple[str, int]]:
    """Seed by seed, so that an interrupted run has looked at every kind."""
    kinds = asked.kinds or KINDS
    if asked.seeds:
        yield from ((k, s) for s in asked.seeds for k in kinds)
        return
    for seed in range(max(asked.null, asked.merge, asked.pure)):
        for kind in kinds:
            limit = asked.null
            if kind.startswith("merge:"):
                limit = asked.pure if kind == "merge:pure" else asked.merge
                limit = asked.large if kind.startswith("merge:large") else limit
            if seed < limit:
                yield kind, seed


def show(outcome: Outcome, seconds: float) -> str:
    """One line an audit."""
    events = ", ".join(false_events(outcome))
    said = f"{outcome['relation']} {outcome['status']}, {outcome['post_training']}"
    return (
        f"{outcome['kind']} {outcome['seed']} [{seconds:.1f} s] {said} | {outcome['variant']}"
        f"{' <<< ' + events if events else ''}"
    )


def main() -> int:
    """Audit what is planned and not yet known; 1 when audits fail one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--null", type=int, default=250, help="null audits of each kind")
    parser.add_argument("--merge", type=int, default=125, help="planted merges of each kind")
    parser.add_argument("--pure", type=int, default=500, help="pure merges of two parents")
    parser.add_argument("--large", type=int, default=20, help="large changed merges of each kind")
    parser.add_argument(
        "--part", type=int, nargs=2, default=(0, 1), metavar=("K", "N"), help="every N-th audit"
    )
    parser.add_argument("--kinds", nargs="+", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--seeds", nargs="+", type=int)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--quiet", action="store_true", help="print what is false only")
    asked = parser.parse_args()
    ledger = Ledger(asked.folder)
    failed = 0
    part, parts = asked.part
    for kind, seed in list(_planned(asked))[part::parts]:
        start = time.process_time()
        try:
            outcome = audit_one(ledger, kind, seed)
        except Exception:
            print(f"{kind} {seed} <<< failed", traceback.format_exc(), sep="\n", flush=True)
            failed += 1
            if failed > MOST_FAILURES:
                return 1
            continue
        if not asked.quiet or false_events(outcome):
            print(show(outcome, time.process_time() - start), flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
