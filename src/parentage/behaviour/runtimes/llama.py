"""A GGUF file as a target: llama.cpp in a process of its own, asked over loopback with whole prompts."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from parentage.behaviour.endpoints.client import Limits
from parentage.behaviour.endpoints.endpoint import Endpoint
from parentage.behaviour.targets import Ask, Reply, TokenScores
from parentage.checkpoints.places import open_file
from parentage.errors import RuntimeModelError, UsageError
from parentage.records.absence import Absent
from parentage.records.interview import Respondent

__all__ = ["LlamaServer"]

# Prompt and answer of a question take some hundreds of tokens; the template's own words some thousands.
CONTEXT = 4096
# Loading reads the whole file: a minute a gigabyte on a slow disk.
LOAD_SECONDS = 600.0


class LlamaServer:
    """Only raw prompts are sent, so that all conditions go through one template: ours, in the sandbox."""

    concurrency = 1

    def __init__(self, path: str, limits: Limits) -> None:
        self._path = path
        self._limits = replace(limits, concurrency=1, proxied=False)
        self._process: asyncio.subprocess.Process | None = None
        self._endpoint: Endpoint | None = None

    async def open(self) -> Respondent:
        """Start, load; ``UsageError`` (``runtime-missing``), ``RuntimeModelError`` (``runtime-load``)."""
        os.close(open_file(Path(self._path)))
        self._process = await _started(os.path.realpath(self._path))
        line = await self._first_line()
        if "missing" in line:
            raise UsageError(
                "running a GGUF file needs the extra llama",
                code="runtime-missing",
                where=self._path,
                hint="pip install 'parentage[llama]'",
            )
        if "address" not in line:
            raise _not_loaded(self._path, str(line.get("failed", "the runtime ended")))
        self._endpoint = Endpoint(f"{line['address']}/v1", Path(self._path).name, None, self._limits)
        found = await self._endpoint.open()
        kept = tuple(a for a in found.abilities if a.name not in ("chat", "empty-system"))
        return Respondent(self._path, "gguf", Path(self._path).name, kept)

    async def _first_line(self) -> dict[str, Any]:
        if self._process is None or self._process.stdout is None:
            return {}
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), LOAD_SECONDS)
            found = json.loads(line)
        except (TimeoutError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    async def ask(self, ask: Ask) -> Reply:
        """One answer to a whole prompt."""
        if self._endpoint is None or ask.prompt is None:
            return Reply(Absent("there is no prompt"))
        return await self._endpoint.ask(ask)

    async def next_tokens(self, prompt: str, top: int) -> TokenScores | Absent:
        """The most probable next tokens."""
        if self._endpoint is None:
            return Absent("not open")
        return await self._endpoint.next_tokens(prompt, top)

    async def score(self, prompt: str, continuation: str) -> Sequence[float] | Absent:
        """llama.cpp's server does not score a prompt."""
        if self._endpoint is None:
            return Absent("not open")
        return await self._endpoint.score(prompt, continuation)

    async def close(self) -> None:
        """End the process."""
        if self._endpoint is not None:
            await self._endpoint.close()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


async def _started(path: str) -> asyncio.subprocess.Process:
    source = str(Path(__file__).resolve().parents[3])
    search = os.pathsep.join(p for p in (source, os.environ.get("PYTHONPATH", "")) if p)
    # Keys of APIs are not the runtime's business.
    kept = {k: v for k, v in os.environ.items() if "KEY" not in k and "TOKEN" not in k}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "parentage.behaviour.runtimes.llama_server",
        path, str(CONTEXT), str(max(1, (os.cpu_count() or 2) // 2)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**kept, "PYTHONPATH": search},
    )  # fmt: skip


def _not_loaded(path: str, why: str) -> RuntimeModelError:
    return RuntimeModelError(
        f"the model was not loaded: {why}", code="runtime-load", where=path, hint="check the file"
    )
