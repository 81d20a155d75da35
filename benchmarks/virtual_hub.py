"""A hub that serves six complete checkpoints of 397 B parameters from nothing, and audits against it.

    python benchmarks/virtual_hub.py serve [--small] [--port 0] [--latency MS] [--failing SHARE]
    python benchmarks/virtual_hub.py read [--small] [--latency MS ...] [--failing SHARE] [--model NAME ...]
    python benchmarks/virtual_hub.py run [--small] [--setting NAME ...] [--out results.json] [--keep DIR]

``serve`` prints its address: with ``HF_ENDPOINT`` set to it, ``parentage audit rehearsal/merged
-p rehearsal/tuned -p rehearsal/base`` and ``huggingface_hub`` itself read from it. Every byte is computed
when it is asked for, and is the same whatever range asks.

``read`` reads what an audit reads and measures nothing: what the network takes. ``run`` audits: every
setting has a hub of its own in a process of its own, and an audit through the command line in another,
whose time and memory are measured. At full size each takes minutes on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from virtual_hub_parts.process import new_hub, serve
from virtual_hub_parts.reading import TRIPLE, read_from, read_under
from virtual_hub_parts.rehearsal import SETTINGS, rehearse, summary
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
    command = commands.add_parser("read", help="read the sample of an audit, without its measures")
    command.add_argument("--small", action="store_true", help="the miniature")
    command.add_argument("--address", help="a hub that is served already")
    command.add_argument("--model", action="append", help=f"default: {', '.join(TRIPLE)}")
    command.add_argument("--latency", type=float, action="append", help="milliseconds; again for more")
    command.add_argument("--failing", type=float, default=0.0, help="share of range requests that fail")
    command.set_defaults(run=_read)
    command = commands.add_parser("run", help="audit them and measure")
    command.add_argument("--small", action="store_true", help="the miniature: seconds a setting")
    names = [s.name for s in SETTINGS]
    command.add_argument(
        "--setting", action="append", choices=names, help="one of the settings; again for more"
    )
    command.add_argument("--out", type=Path, help="results as JSON")
    command.add_argument("--keep", type=Path, help="folder for reports and evidence")
    command.set_defaults(run=_run)
    given = parser.parse_args()
    given.run(given)


def _serve(given: argparse.Namespace) -> None:
    conditions = Conditions(given.latency / 1000, given.failing)
    asyncio.run(serve(new_hub(small=given.small, conditions=conditions), given.port))


def _read(given: argparse.Namespace) -> None:
    models = given.model or TRIPLE
    if given.address is not None:
        print(json.dumps(read_from(given.address, models)))
        return
    for latency in given.latency or [0.0]:
        conditions = Conditions(latency / 1000, given.failing)
        print(json.dumps(read_under(conditions, small=given.small, models=models)), flush=True)


def _run(given: argparse.Namespace) -> None:
    results = []
    for setting in SETTINGS:
        if given.setting is not None and setting.name not in given.setting:
            continue
        found = rehearse(setting, small=given.small, keep=given.keep)
        results.append(found)
        print(f"{setting.name}: {found['verdict'].get('sentence', found['verdict'])}\n")
        print(found["table"], flush=True)
        if found["trained"] is not None:
            print(f"\nexperts trained on: {found['trained']}", flush=True)
        print(flush=True)
        if given.out is not None:
            given.out.write_text(json.dumps(results, indent=1), encoding="utf-8")
    print(summary(results))


if __name__ == "__main__":
    main()
