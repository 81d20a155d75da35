"""A hub that serves six complete checkpoints of 397 B parameters from nothing, and audits against it.

    python benchmarks/virtual_hub.py serve [--small] [--port 0] [--latency MS] [--failing SHARE]

``serve`` prints its address: with ``HF_ENDPOINT`` set to it, ``parentage audit rehearsal/merged
-p rehearsal/tuned -p rehearsal/base`` and ``huggingface_hub`` itself read from it. Every byte is computed
when it is asked for, and is the same whatever range asks.
"""

from __future__ import annotations

import argparse
import asyncio

from virtual_hub_parts.process import new_hub, serve
from virtual_hub_parts.server import Conditions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("serve", help="serve the models")
    command.add_argument("--small", action="store_true", help="a miniature with the same names")
    command.add_argument("--port", type=int, default=0)
    command.add_argument("--latency", type=float, default=0.0, help="milliseconds before each answer")
    command.add_argument("--failing", type=float, default=0.0, help="share of range requests that fail")
    command.set_defaults(run=_serve)
    given = parser.parse_args()
    given.run(given)


def _serve(given: argparse.Namespace) -> None:
    conditions = Conditions(given.latency / 1000, given.failing)
    asyncio.run(serve(new_hub(small=given.small, conditions=conditions), given.port))


if __name__ == "__main__":
    main()
