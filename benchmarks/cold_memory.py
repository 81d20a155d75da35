"""What memory does the first audit of an installation take, which has nothing compiled yet?

    python benchmarks/cold_memory.py SUSPECT PARENT [PARENT …]

Each audit runs in a process of its own, first with an empty cache of compiled code (``NUMBA_CACHE_DIR``),
then with the one that it filled: of the suspect with the first parent and with two, the sample alone
and ``--full``. Printed, in MiB: the audit's own peak (``VmHWM``, mapped pages included), the largest of the
processes that compiled for it, and the audit's peak until then and the largest of those added up, which is
more than both had at any one time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence

PROGRAM = """
import json, resource, sys
from parentage import api
from parentage.engines.compiling import STAGE
def peak():
    with open("/proc/self/status") as status:
        return int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1024
def compilers():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
together = [0.0]
def told(stage, done, total):
    if stage == STAGE:
        together[0] = peak() + compilers()
full, suspect, *parents = json.loads(sys.argv[1])
api.audit(suspect, parents=parents, full=full, workers=2, compile_first=True, progress=told)
print(json.dumps([peak(), compilers(), together[0]]))
"""


def measured(models: Sequence[str], *, full: bool, cache: str) -> tuple[float, float, float]:
    """Own peak, largest compiling process, both together while it compiled; MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([full, *models])],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "NUMBA_CACHE_DIR": cache},
    )
    own, compiling, together = json.loads(done.stdout)
    return own, compiling, together


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suspect")
    parser.add_argument("parents", nargs="+")
    given = parser.parse_args()
    print("| audit | models | cache | own MiB | compiling MiB | together, at most |")
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for count in range(1, min(len(given.parents), 2) + 1):
        models = [given.suspect, *given.parents[:count]]
        for full in (False, True):
            with tempfile.TemporaryDirectory() as cache:
                for state in ("cold", "warm"):
                    numbers = measured(models, full=full, cache=cache)
                    told = " | ".join(f"{n:,.0f}" for n in numbers)
                    kind = "--full" if full else "sample"
                    print(f"| {kind} | {len(models)} | {state} | {told} |", flush=True)


if __name__ == "__main__":
    main()
