"""The hub in a process of its own, and an audit in another: each with its own memory and clock."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .architecture import FULL, SMALL
from .server import Conditions, VirtualHub

__all__ = ["Done", "audit", "counts_of", "serve", "serving"]

SCRIPT = Path(__file__).resolve().parents[1] / "virtual_hub.py"


async def serve(hub: VirtualHub, port: int) -> None:
    """Print the address and serve until SIGINT or SIGTERM."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    print(await hub.start(port), flush=True)
    await stopped.wait()
    await hub.stop()
    print(json.dumps(dict(sorted(hub.counts.items()))), flush=True)


@contextlib.contextmanager
def serving(*, small: bool, conditions: Conditions) -> Iterator[str]:
    """A hub in a process of its own: its address."""
    command = [sys.executable, str(SCRIPT), "serve", "--port", "0"]
    command += ["--latency", f"{conditions.latency * 1000:g}", "--failing", f"{conditions.failing:g}"]
    process = subprocess.Popen(
        [*command, *(["--small"] if small else [])], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError("the hub did not start")
        yield address
    finally:
        process.terminate()
        process.communicate()


def counts_of(address: str) -> dict[str, int]:
    """What the hub has answered so far."""
    with urllib.request.urlopen(f"{address}/counts") as answer:
        found: dict[str, int] = json.load(answer)
        return found


@dataclass(frozen=True, slots=True)
class Done:
    """One audit: exit code, wall and processor seconds, peak resident bytes, what it wrote."""

    exit_code: int
    wall: float
    processor: float
    peak: int
    output: str


def audit(arguments: Sequence[str], environment: Mapping[str, str]) -> Done:
    """``parentage audit`` in a fresh process."""
    program = "from parentage.cli.main import main; main()"
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "audit", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - began
    return Done(process.returncode, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, output)


def new_hub(*, small: bool, conditions: Conditions) -> VirtualHub:
    """Of the full size, or a miniature."""
    return VirtualHub(SMALL if small else FULL, conditions)
