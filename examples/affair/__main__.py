"""Re-enact the affair.

    python -m examples.affair --size tiny [--work build/affair] [--out FOLDER] [--jobs 2] [STEP …]

Needs the extras for training. What was done before is kept; a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from examples.affair.outcome import keep
from examples.affair.running import run
from examples.affair.sizes import SIZES
from examples.affair.steps import Failed, shown
from examples.affair.story import steps

__all__ = ["main"]


def main() -> None:
    """Run the steps that are named, or all; then copy what is worth keeping."""
    parser = argparse.ArgumentParser(prog="python -m examples.affair")
    parser.add_argument("--size", choices=sorted(SIZES), default="tiny")
    parser.add_argument("--work", type=Path, default=Path("build/affair"))
    parser.add_argument("--out", type=Path, help="where dossiers are copied to, when all steps ran")
    parser.add_argument("--jobs", type=int, default=1, help="steps at a time, each on one thread")
    parser.add_argument("--list", action="store_true", help="print the commands and do nothing")
    parser.add_argument("steps", nargs="*", help="these alone, and what they need")
    given = parser.parse_args()
    listed = steps(SIZES[given.size])
    if given.list:
        print("\n".join(f"# {s.about}\n{shown(s)}" for s in listed))
        return
    # A run that is told to end ends its commands too, which a signal by itself would not.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    try:
        done = run(listed, given.work / given.size, given.steps, given.jobs)
    except Failed as failed:
        sys.exit(str(failed))
    if given.out is not None and not given.steps:
        keep(given.work / given.size, given.out / given.size, done)


if __name__ == "__main__":
    main()
