"""A folder of a model as a target: transformers on this machine, no code of the model's, no network."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from parentage.behaviour.endpoints.replies import MAX_ANSWER
from parentage.behaviour.runtimes.loading import load_model
from parentage.behaviour.targets import Ask, Reply, TokenScores
from parentage.records.absence import Absent
from parentage.records.interview import Ability, Respondent

__all__ = ["TransformersModel"]

MOST_PROMPT = 8_192


class TransformersModel:
    """Prompts are tokenised as they are, special tokens by their text, none added."""

    concurrency = 1

    def __init__(self, locator: str) -> None:
        self._locator = locator
        self._model: Any = None
        self._tokenizer: Any = None

    async def open(self) -> Respondent:
        """Load; raises what ``load_model`` raises."""
        await asyncio.to_thread(self._load)
        found = (
            Ability("completions", True, "prompts are taken as text"),
            Ability("logprobs", True, "of every token"),
            Ability("prompt-scores", True, "of every token"),
        )
        return Respondent(self._locator, "transformers", self._locator, found)

    def _load(self) -> None:
        self._model, self._tokenizer = load_model(self._locator)

    async def ask(self, ask: Ask) -> Reply:
        """One answer to a whole prompt, sampled from the full distribution with the ask's own seed."""
        if ask.prompt is None:
            return Reply(Absent("there is no prompt"))
        return await asyncio.to_thread(self._answer, ask.prompt, ask)

    def _ids(self, text: str) -> Any:
        ids = self._tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        return ids[:, -MOST_PROMPT:]

    def _answer(self, prompt: str, ask: Ask) -> Reply:
        import torch

        ids = self._ids(prompt)
        sampled = ask.temperature > 0
        options = {"temperature": ask.temperature, "top_k": 0, "top_p": 1.0} if sampled else {}
        torch.manual_seed(ask.seed)
        with torch.inference_mode():
            out = self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=sampled,
                max_new_tokens=ask.max_tokens,
                pad_token_id=self._tokenizer.eos_token_id,
                **options,
            )[0, ids.shape[1] :]
        text = self._tokenizer.decode(out, skip_special_tokens=True)
        ended = len(out) < ask.max_tokens or int(out[-1]) == self._tokenizer.eos_token_id
        finish = "stop" if ended else "length"
        return Reply(text[:MAX_ANSWER], finish, len(text) > MAX_ANSWER, int(ids.shape[1]), len(out))

    async def next_tokens(self, prompt: str, top: int) -> TokenScores | Absent:
        """The most probable next tokens, ``top`` of them."""
        return await asyncio.to_thread(self._next, prompt, top)

    def _next(self, prompt: str, top: int) -> TokenScores | Absent:
        import torch

        with torch.inference_mode():
            logits = self._model(self._ids(prompt)).logits[0, -1].double()
        values, places = torch.log_softmax(logits, -1).topk(min(top, logits.shape[0]))
        found = sorted(zip(values.tolist(), places.tolist(), strict=True), key=lambda p: (-p[0], p[1]))
        if not all(math.isfinite(v) for v, _ in found):
            return Absent("the model gives probabilities that are not finite")
        return TokenScores(tuple(self._tokenizer.decode([k]) for _, k in found), tuple(v for v, _ in found))

    async def score(self, prompt: str, continuation: str) -> Sequence[float] | Absent:
        """Of each token of ``continuation``, tokenised by itself after the prompt's tokens."""
        return await asyncio.to_thread(self._score, prompt, continuation)

    def _score(self, prompt: str, continuation: str) -> Sequence[float] | Absent:
        import torch

        before, after = self._ids(prompt), self._ids(continuation)
        if not after.shape[1] or not before.shape[1]:
            return Absent("there is nothing to score")
        with torch.inference_mode():
            logits = self._model(torch.cat([before, after], 1)).logits[0, before.shape[1] - 1 : -1].double()
        found = torch.log_softmax(logits, -1).gather(1, after[0][:, None])[:, 0].tolist()
        return found if all(map(math.isfinite, found)) else Absent("probabilities that are not finite")

    def parameters(self) -> dict[str, Any]:
        """Every tensor of numbers by name, as views that may be written to; float32."""
        found = self._model.state_dict()
        return {name: tensor for name, tensor in found.items() if tensor.is_floating_point()}

    async def close(self) -> None:
        """Let go of the weights."""
        self._model = self._tokenizer = None
