"""An OpenAI-compatible endpoint as a target: what it offers is probed, and said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from parentage.behaviour.endpoints.client import Client, Limits, base_address
from parentage.behaviour.endpoints.replies import reply_of, scores_of, top_of
from parentage.behaviour.targets import Ask, Reply, TokenScores
from parentage.errors import EndpointError, ParentageError
from parentage.records.absence import Absent
from parentage.records.interview import Ability, Respondent

__all__ = ["Endpoint"]

QUESTION = {"role": "user", "content": "Who are you?"}
# The most that OpenAI's completions give; llama.cpp and vLLM give more.
TOP = 5


class Endpoint:
    """Chat completions, and raw completions where they are offered."""

    def __init__(self, url: str, model: str | None, key: str | None, limits: Limits) -> None:
        self.client = Client(base_address(url), key, limits)
        self.concurrency = limits.concurrency
        self._model = model
        self._offers: dict[str, Ability] = {}

    @property
    def requests(self) -> int:
        """Sent so far, repeated ones included."""
        return self.client.requests

    def offers(self, ability: str) -> bool:
        """Whether the probe found it."""
        found = self._offers.get(ability)
        return found is not None and found.offered

    async def open(self) -> Respondent:
        """Probe: models, chat, empty system message, completions, log-probabilities.

        Raises ``EndpointError`` where neither chat nor completions are offered.
        """
        model = await self._named()
        findings = [
            await self._chat(),
            await self._empty_system(),
            await self._completions(),
            await self._prompt_scores(),
        ]
        self._offers.update({a.name: a for a in findings})
        if not self.offers("chat") and not self.offers("completions"):
            raise EndpointError(
                f"neither chat nor completions are offered: {findings[0].finding}",
                code="endpoint-not-api",
                where=self.client.base,
                hint="check the address, and the model's name (--model)",
            )
        return Respondent(self.client.base, "endpoint", model, tuple(self._offers.values()))

    async def _named(self) -> str | Absent:
        if self._model is not None:
            return self._model
        try:
            body = await self.client.get("/models")
        except EndpointError as error:
            if error.code != "endpoint-cannot":
                raise
            return Absent("the endpoint lists no models; the request names none")
        listed = body.get("data")
        names = [e.get("id") for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
        known = [n for n in names if isinstance(n, str) and 0 < len(n) <= 300]
        if len(known) > 1:
            raise EndpointError(
                f"{len(known)} models are served and none was named",
                code="endpoint-no-model",
                where=self.client.base,
                hint="--model with one of: " + ", ".join(known[:8]),
            )
        self._model = known[0] if known else None
        return known[0] if known else Absent("the endpoint lists no models; the request names none")

    def _body(self, **fields: Any) -> dict[str, Any]:
        return ({} if self._model is None else {"model": self._model}) | fields

    async def _tried(self, name: str, path: str, body: dict[str, Any]) -> dict[str, Any] | Ability:
        """The answer, or the finding that it is not offered; an endpoint that fails altogether raises."""
        try:
            return await self.client.post(path, body)
        except EndpointError as error:
            if error.code in ("endpoint-cannot", "endpoint-not-api", "endpoint-too-large"):
                return Ability(name, False, error.message)
            raise

    async def _chat(self) -> Ability:
        body = self._body(messages=[QUESTION], max_tokens=1, temperature=0)
        found = await self._tried("chat", "/chat/completions", body)
        if isinstance(found, Ability):
            return found
        reply = reply_of(found)
        if isinstance(reply.text, Absent):
            return Ability("chat", False, reply.text.reason)
        self._plain_tokens = reply.tokens_in
        return Ability("chat", True, f"a question takes {_tokens(reply.tokens_in)}")

    async def _empty_system(self) -> Ability:
        """How many tokens a question takes with a system message of no words: fewer mean a hidden one."""
        messages = [{"role": "system", "content": ""}, QUESTION]
        body = self._body(messages=messages, max_tokens=1, temperature=0)
        found = await self._tried("empty-system", "/chat/completions", body)
        if isinstance(found, Ability):
            return found
        reply = reply_of(found)
        if isinstance(reply.text, Absent):
            return Ability("empty-system", False, reply.text.reason)
        before = getattr(self, "_plain_tokens", Absent("not counted"))
        finding = f"the same question takes {_tokens(reply.tokens_in)}"
        if isinstance(before, int) and isinstance(reply.tokens_in, int):
            change = before - reply.tokens_in
            more = f"{change} fewer than without: a default system text is put in when none is given"
            finding += f", {more}" if change > 0 else f", {-change} more than without"
        return Ability("empty-system", True, finding)

    async def _completions(self) -> Ability:
        body = self._body(prompt="The capital of France is", max_tokens=1, temperature=0, logprobs=TOP)
        found = await self._tried("completions", "/completions", body)
        if isinstance(found, Ability):
            return found
        reply = reply_of(found)
        if isinstance(reply.text, Absent):
            return Ability("completions", False, reply.text.reason)
        top = top_of(found)
        offered = isinstance(top, TokenScores)
        told = f"{len(top.tokens)} a token" if isinstance(top, TokenScores) else top.reason
        self._offers["logprobs"] = Ability("logprobs", offered, told)
        return Ability("completions", True, "raw prompts are taken")

    async def _prompt_scores(self) -> Ability:
        if not self.offers("logprobs"):
            return Ability("prompt-scores", False, "without log-probabilities there are none of the prompt")
        scores = await self._scored("The capital of France is Paris", 21)
        offered = not isinstance(scores, Absent)
        return Ability(
            "prompt-scores", offered, "echoed" if offered else "a prompt is not echoed with scores"
        )

    async def _scored(self, prompt: str, start: int) -> Sequence[float] | Absent:
        body = self._body(prompt=prompt, max_tokens=1, temperature=0, logprobs=1, echo=True)
        try:
            found = await self.client.post("/completions", body)
        except EndpointError as error:
            return Absent(error.message)
        scores = scores_of(found, start)
        # The last is the token that had to be generated.
        return scores if isinstance(scores, Absent) or len(scores) < 2 else scores[:-1]

    async def ask(self, ask: Ask) -> Reply:
        """One answer; a failure of this request alone is an absent reply."""
        common = {"temperature": ask.temperature, "max_tokens": ask.max_tokens, "seed": ask.seed}
        try:
            if ask.prompt is not None:
                found = await self.client.post("/completions", self._body(prompt=ask.prompt, **common))
            else:
                body = self._body(messages=list(ask.messages), **common)
                found = await self.client.post("/chat/completions", body)
        except ParentageError as error:
            return Reply(Absent(f"{error.message} ({error.code})"))
        return reply_of(found)

    async def next_tokens(self, prompt: str, top: int) -> TokenScores | Absent:
        """After a raw prompt; the endpoint may give fewer than ``top``."""
        if not self.offers("logprobs"):
            return Absent("the endpoint offers no log-probabilities")
        body = self._body(prompt=prompt, max_tokens=1, temperature=0, logprobs=top)
        try:
            return top_of(await self.client.post("/completions", body))
        except EndpointError as error:
            return Absent(f"{error.message} ({error.code})")

    async def score(self, prompt: str, continuation: str) -> Sequence[float] | Absent:
        """Of each token of ``continuation``, where prompts are echoed with scores."""
        if not self.offers("prompt-scores"):
            return Absent("the endpoint does not score the prompt that it is given")
        return await self._scored(prompt + continuation, len(prompt))

    async def close(self) -> None:
        """Close the connections."""
        await self.client.close()


def _tokens(count: int | Absent) -> str:
    return f"{count} tokens" if isinstance(count, int) else "a number of tokens that is not told"
