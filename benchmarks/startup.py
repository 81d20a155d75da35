"""How long does ``parentage --help`` take? Medians over runs in fresh processes, beside a bare Python.

    python benchmarks/startup.py [--runs 20]

Wall time meets whatever else the machine does; processor time (user and system) does not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

MAIN = "from parentage.cli.main import main; main()"
COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "parentage --help": ["-c", MAIN, "--help"],
    "parentage audit --help": ["-c", MAIN, "audit", "--help"],
    "parentage --version": ["-c", MAIN, "--version"],
}


def timed(arguments: Sequence[str]) -> tuple[float, float]:
    """Wall and processor seconds of one run."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return taken, used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    print("command                  wall s  processor s")
    for name, arguments in COMMANDS.items():
        timed(arguments)
        walls, processors = zip(*(timed(arguments) for _ in range(runs)), strict=True)
        print(f"{name:24s} {median(walls):6.3f} {median(processors):12.3f}")


if __name__ == "__main__":
    main()
