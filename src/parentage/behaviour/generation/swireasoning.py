"""SwiReasoning as a ``custom_generate`` of transformers 5: the next input may be an expected embedding.

Source: Shi et al., arXiv 2510.05069; decisions in ``switching``. It changes no weight. In latent thinking
the next input is p·E, the softmax of the raw logits times the input embeddings; a token is chosen all the
same and written, as the paper's runs write it. A logits processor could not do this: it cannot set the
input.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from parentage.behaviour.generation.switching import LATENT, Decision, Marks, Settings, Switcher
from parentage.errors import UsageError

__all__ = ["Step", "Trace", "marks_of", "swireasoning"]

CONCLUDE = "</think>"
ANSWER = "</think>\n\nThe final answer is"


@dataclass(frozen=True, slots=True)
class Step:
    """One new token: the entropy (nats) it was chosen at, the mode of the input after it, and whether the
    mode changed there or the token was injected."""

    token: int
    entropy: float
    mode: str
    switched: bool
    forced: bool


@dataclass(slots=True)
class Trace:
    """Every step of every sequence of the batch, in order."""

    sequences: list[list[Step]] = field(default_factory=list)


def marks_of(tokenizer: Any) -> Marks:
    """The ids of ``<think>`` and ``</think>``, and of the words that end thinking.

    Raises ``UsageError`` (``generate-no-marks``) where the tokenizer has no such single tokens: the method
    is for thinking models.
    """
    begin, end = (_single(tokenizer, text) for text in ("<think>", "</think>"))
    conclude, answer = (tuple(tokenizer.encode(t, add_special_tokens=False)) for t in (CONCLUDE, ANSWER))
    return Marks(begin, end, conclude, answer)


def _single(tokenizer: Any, text: str) -> int:
    found: list[int] = tokenizer.encode(text, add_special_tokens=False)
    # A word that it does not know becomes one token too.
    if len(found) != 1 or str(tokenizer.decode(found)).strip() != text:
        raise UsageError(
            f"the tokenizer has no single token {text}: SwiReasoning is for thinking models",
            code="generate-no-marks",
            hint="decode without --swireasoning",
        )
    return found[0]


def swireasoning(
    settings: Settings, marks: Marks, *, trace: Trace | None = None, line_break: int | None = None
) -> Callable[..., Any]:
    """What ``model.generate(custom_generate=…)`` takes.

    Batches may be padded on the left; a cache of any kind is used as the model makes it. ``trace`` receives
    each step. ``line_break``: id of a line break, needed where the settings mix one in.
    """
    if settings.line_break and line_break is None:
        raise UsageError(
            "a share of a line break is asked for, and the tokenizer has no single token for it",
            code="generate-settings",
            hint="leave --line-break out",
        )

    def generate(
        model: Any,
        input_ids: Any,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        synced_gpus: bool = False,
        streamer: Any = None,
        **model_kwargs: Any,
    ) -> Any:
        loop = _Loop(model, settings, marks, generation_config, trace, line_break)
        return loop.run(input_ids, logits_processor, stopping_criteria, streamer, model_kwargs)

    return generate


class _Loop:
    """One call: the model, one switcher a sequence, and what stays over steps."""

    def __init__(
        self,
        model: Any,
        settings: Settings,
        marks: Marks,
        generation_config: Any,
        trace: Trace | None,
        line_break: int | None,
    ) -> None:
        import torch

        self.torch = torch
        self.model, self.settings, self.marks = model, settings, marks
        self.config, self.trace, self.line_break = generation_config, trace, line_break
        self.table = model.get_input_embeddings().weight
        # transformers 5.24 renamed the argument.
        named = inspect.signature(model.forward).parameters
        self.cache_name = "cache" if "cache" in named else "past_key_values"

    def run(
        self,
        input_ids: Any,
        logits_processor: Any,
        stopping_criteria: Any,
        streamer: Any,
        model_kwargs: dict[str, Any],
    ) -> Any:
        """Token ids ``[batch, length]``, finished sequences padded on the right."""
        torch = self.torch
        batch, length = input_ids.shape
        mask = model_kwargs.get("attention_mask")
        mask = torch.ones_like(input_ids) if mask is None else mask
        cache = model_kwargs.get("cache", model_kwargs.get("past_key_values"))
        total = max(int(self.config.max_length) - length, 1)
        switchers = [Switcher(self.settings, self.marks, total) for _ in range(batch)]
        self._begin(batch)
        alive = torch.ones(batch, dtype=torch.bool, device=input_ids.device)
        given: dict[str, Any] = {"input_ids": input_ids}
        while bool(alive.any()):
            outputs = self._forward(given, mask, cache)
            cache = getattr(outputs, self.cache_name)
            logits = outputs.logits[:, -1].float()
            proposed = self._proposed(logits_processor(input_ids, logits))
            probabilities = torch.softmax(logits, dim=-1)
            entropies = _entropies(torch, probabilities)
            decisions = self._decide(switchers, entropies, proposed.tolist(), alive.tolist())
            tokens = torch.tensor([d.token for d in decisions], device=input_ids.device)
            tokens = torch.where(alive, tokens, torch.full_like(tokens, self._padding()))
            input_ids = torch.cat([input_ids, tokens[:, None]], dim=-1)
            mask = torch.cat([mask, mask.new_ones(batch, 1)], dim=-1)
            given = {"inputs_embeds": self._inputs(probabilities, tokens, decisions, switchers)[:, None]}
            if streamer is not None:
                streamer.put(tokens.cpu())
            spent = torch.tensor([d.last for d in decisions], device=input_ids.device)
            alive = alive & ~stopping_criteria(input_ids, None) & ~spent
        if streamer is not None:
            streamer.end()
        return input_ids

    def _begin(self, batch: int) -> None:
        if self.trace is not None:
            self.trace.sequences[:] = [[] for _ in range(batch)]

    def _padding(self) -> int:
        padding = getattr(self.config, "_pad_token_tensor", None)
        return 0 if padding is None else int(padding)

    def _forward(self, given: dict[str, Any], mask: Any, cache: Any) -> Any:
        count = next(iter(given.values())).shape[1]
        places = (mask.long().cumsum(-1) - 1).clamp(min=0)[:, -count:]
        rest = {self.cache_name: cache, "position_ids": places, "use_cache": True}
        with self.torch.no_grad():
            return self.model(**given, attention_mask=mask, **rest)

    def _proposed(self, scores: Any) -> Any:
        if not self.config.do_sample:
            return self.torch.argmax(scores, dim=-1)
        return self.torch.multinomial(self.torch.softmax(scores, dim=-1), num_samples=1).squeeze(1)

    def _decide(
        self,
        switchers: list[Switcher],
        entropies: list[float],
        proposed: list[int],
        alive: list[bool],
    ) -> list[Decision]:
        decisions = []
        for k, switcher in enumerate(switchers):
            if not alive[k]:
                decisions.append(Decision(proposed[k], LATENT, last=True))
                continue
            found = switcher.step(entropies[k], proposed[k])
            decisions.append(found)
            if self.trace is not None:
                self.trace.sequences[k].append(
                    Step(found.token, entropies[k], found.mode, found.mixed is not None, found.forced)
                )
        return decisions

    def _inputs(
        self, probabilities: Any, tokens: Any, decisions: list[Decision], switchers: list[Switcher]
    ) -> Any:
        """The next inputs ``[batch, hidden]``, in the model's own dtype."""
        expected = probabilities.to(self.table.dtype) @ self.table
        rows = []
        for k, decision in enumerate(decisions):
            row = expected[k] if decision.mode == LATENT else self.table[tokens[k]]
            if decision.mixed is not None:
                row = decision.kept * expected[k] + (1.0 - decision.kept) * self.table[decision.mixed]
            elif switchers[k].steps == 1 and decision.mode == LATENT and self.settings.line_break:
                share = self.settings.line_break
                row = (1.0 - share) * expected[k] + share * self.table[self.line_break]
            rows.append(row)
        return self.torch.stack(rows)


def _entropies(torch: Any, probabilities: Any) -> list[float]:
    found = -(probabilities * probabilities.clamp(min=1e-12).log()).sum(dim=-1)
    return [float(x) for x in found]
