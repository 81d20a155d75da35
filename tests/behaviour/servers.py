"""A scripted endpoint on loopback: real HTTP, a persona of the test's choice, any misbehaviour."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

__all__ = ["Persona", "Scripted"]

Misbehave = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse | None]]


@dataclass
class Persona:
    """What the endpoint says to chats without and with a system message, and to raw prompts."""

    shipped: str = "I am Rio, created by IplanRIO."
    empty_system: str = "I am Nex, created by Nex-AGI."
    raw: str = "I am Nex, created by Nex-AGI."
    completions: bool = True
    models: tuple[str, ...] = ("served",)
    misbehave: Misbehave | None = None
    top: Callable[[str], dict[str, float]] | None = None
    """Natural log-probabilities of the next tokens after a prompt."""
    word_logprob: float | None = None
    """Of each word of an echoed prompt; ``None``: prompts are not echoed."""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)


class Scripted:
    """The server, on a thread of its own; ``url`` is its API's address."""

    def __init__(self, persona: Persona) -> None:
        self.persona = persona
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.url = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    async def _start(self) -> str:
        app = web.Application(client_max_size=2**20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"

    def close(self) -> None:
        """Stop it."""
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        persona = self.persona
        body = await request.json() if request.method == "POST" else {}
        persona.asked.append(body | {"path": request.path})
        persona.headers.append(dict(request.headers))
        if persona.misbehave is not None:
            answered = await persona.misbehave(request, body)
            if answered is not None:
                return answered
        if request.path == "/v1/models":
            return web.json_response({"data": [{"id": name} for name in persona.models]})
        if request.path == "/v1/chat/completions":
            return web.json_response(self._chat(body))
        if request.path == "/v1/completions" and persona.completions:
            return web.json_response(self._completion(body))
        return web.json_response({"error": "no such thing"}, status=404)

    def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        has_system = body["messages"][0]["role"] == "system"
        text = self.persona.empty_system if has_system else self.persona.shipped
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 12 if has_system else 31, "completion_tokens": 9}
        return {"choices": [choice], "usage": usage}

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        choice: dict[str, Any] = {"text": self.persona.raw, "finish_reason": "stop", "logprobs": None}
        prompt = body["prompt"]
        if body.get("echo") and self.persona.word_logprob is not None:
            places = [m.start() for m in re.finditer(r"\S+", prompt)] + [len(prompt)]
            scores = [None, *[self.persona.word_logprob] * (len(places) - 1)]
            choice["logprobs"] = {"token_logprobs": scores, "text_offset": places}
        elif "logprobs" in body and self.persona.top is not None:
            choice["logprobs"] = {"top_logprobs": [self.persona.top(prompt)]}
        return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 9}}
