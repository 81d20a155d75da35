"""A folder of a model as a target: transformers on this machine, no code of the model's, no network."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import Any

from parentage.behaviour.endpoints.replies import MAX_ANSWER
from parentage.behaviour.runtimes.loading import load_model
from parentage.behaviour.runtimes.sampling import RowNoise
from parentage.behaviour.targets import Ask, Reply, TokenScores
from parentage.records.absence import Absent
from parentage.records.interview import Ability, Respondent

__all__ = ["TransformersModel"]

MOST_PROMPT = 8_192
NO_PROMPT = Reply(Absent("there is no prompt"))
NOT_FINITE = Absent("the model gives probabilities that are not finite")


class TransformersModel:
    """Prompts are tokenised as they are, special tokens by their text, none added."""

    concurrency = 1
    # On one thread SmolLM2-135M writes 8 answers in less than twice the time of one.
    together = 8

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
        return (await self.ask_together([ask]))[0]

    async def ask_together(self, asks: Sequence[Ask]) -> list[Reply]:
        """Each as :meth:`ask`; of one temperature and length. Each draws from its own seed, so that an
        answer hangs on those beside it by the last bits of sums alone."""
        whole = [a for a in asks if a.prompt is not None]
        replies = iter(await asyncio.to_thread(self._answers, whole) if whole else [])
        return [NO_PROMPT if a.prompt is None else next(replies) for a in asks]

    def _ids(self, text: str) -> Any:
        ids = self._tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
        return ids[:, -MOST_PROMPT:]

    def _padded(self, texts: Sequence[str], *, left: bool) -> tuple[Any, Any]:
        """Ids and mask [texts, longest]; a padding's id means nothing."""
        import torch

        rows = [self._ids(text)[0] for text in texts]
        ids = torch.zeros((len(rows), max(1, *(len(r) for r in rows))), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for k, row in enumerate(rows):
            place = slice(ids.shape[1] - len(row), None) if left else slice(0, len(row))
            ids[k, place], mask[k, place] = row, 1
        return ids, mask

    def _answers(self, asks: Sequence[Ask]) -> list[Reply]:
        import torch
        from transformers import LogitsProcessorList

        ids, mask = self._padded([str(a.prompt) for a in asks], left=True)
        first, ends = asks[0], self._ends()
        noise = RowNoise([a.seed for a in asks], first.temperature) if first.temperature > 0 else None
        with torch.inference_mode():
            found = self._model.generate(
                ids,
                attention_mask=mask,
                # The noise makes the likeliest token a draw; penalties of the model's own are none of ours.
                do_sample=False,
                repetition_penalty=1.0,
                logits_processor=LogitsProcessorList([] if noise is None else [noise]),
                max_new_tokens=first.max_tokens,
                pad_token_id=min(ends, default=0),
            )[:, ids.shape[1] :]
        return [
            self._reply(row.tolist(), int(own.sum()), ends, first.max_tokens)
            for row, own in zip(found, mask, strict=True)
        ]

    def _ends(self) -> set[int]:
        told = self._model.generation_config.eos_token_id
        found = told if isinstance(told, list) else [told]
        return {int(k) for k in (*found, self._tokenizer.eos_token_id) if k is not None}

    def _reply(self, row: Sequence[int], asked: int, ends: set[int], most: int) -> Reply:
        """``row``: what was generated, and after an end whatever the batch was filled up with."""
        length = next((k + 1 for k, token in enumerate(row) if token in ends), len(row))
        text = self._tokenizer.decode(row[:length], skip_special_tokens=True)
        ended = length < most or (length > 0 and row[length - 1] in ends)
        finish = "stop" if ended else "length"
        return Reply(text[:MAX_ANSWER], finish, len(text) > MAX_ANSWER, asked, length)

    async def next_tokens(self, prompt: str, top: int) -> TokenScores | Absent:
        """The most probable next tokens, ``top`` of them."""
        return (await self.next_tokens_of([prompt], top))[0]

    async def next_tokens_of(self, prompts: Sequence[str], top: int) -> list[TokenScores | Absent]:
        """Of each prompt, in batches of ``together`` in the order given."""
        return [told for told, _ in await self.look(prompts, top)]

    async def look(
        self, texts: Sequence[str], top: int
    ) -> list[tuple[TokenScores | Absent, tuple[float, int]]]:
        """Of each text the most probable next tokens, and the loss over its second half: nats, summed over
        so many tokens. In batches of ``together`` in the order given."""
        return await asyncio.to_thread(self._look, texts, top)

    def _look(self, texts: Sequence[str], top: int) -> list[tuple[TokenScores | Absent, tuple[float, int]]]:
        import torch

        found: list[tuple[TokenScores | Absent, tuple[float, int]]] = []
        for start in range(0, len(texts), self.together):
            # What follows does not reach back to what is before it, so the end is where padding may stand.
            ids, mask = self._padded(texts[start : start + self.together], left=False)
            with torch.inference_mode():
                logits = self._model(ids, attention_mask=mask).logits
            for row, own, length in zip(logits, ids, mask.sum(1).tolist(), strict=True):
                if not length:
                    found.append((Absent("there is nothing to go on from"), (0.0, 0)))
                    continue
                chances = torch.log_softmax(row[:length].double(), -1)
                found.append((self._told(chances[-1], top), _loss(chances, own[:length])))
        return found

    def _told(self, chances: Any, top: int) -> TokenScores | Absent:
        values, places = chances.topk(min(top, chances.shape[0]))
        found = sorted(zip(values.tolist(), places.tolist(), strict=True), key=lambda p: (-p[0], p[1]))
        if not all(math.isfinite(v) for v, _ in found):
            return NOT_FINITE
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


def _loss(chances: Any, ids: Any) -> tuple[float, int]:
    """Nats over the second half of a text's tokens, of which the first is never predicted."""
    half = max(1, len(ids) // 2)
    told = chances[half - 1 : -1].gather(1, ids[half:, None])[:, 0]
    total = float(-told.sum())
    return (total, len(told)) if math.isfinite(total) else (0.0, 0)
