"""A model that answers chats and scores texts, whatever runs it; and the one that transformers runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from parentage.behaviour.opening import spec_of, template_of
from parentage.behaviour.runtimes.loading import load_model
from parentage.behaviour.targets import TokenScores
from parentage.behaviour.templates.rendering import render_prompts
from parentage.errors import RuntimeModelError, UsageError
from parentage.records.absence import Absent
from parentage.training.problems import Message

__all__ = ["BATCH", "LocalModel", "Model", "Opener", "TextLoss", "enough_memory", "opener_on"]

# On one thread SmolLM2-135M writes 8 answers in less than twice the time of one.
BATCH: Final = 8
MOST_PROMPT: Final = 8_192
# Of a text whose loss is measured; what comes after is left out.
MOST_TEXT: Final = 1_024
MOST_ANSWER: Final = 16_384
NO_MEMORY: Final = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
TextLoss = tuple[float, int]
"""Nats, summed over the tokens that were predicted, and how many these are."""


class Model(Protocol):
    """One loaded model. Equal calls give equal results on one machine with one number of threads."""

    def answers(self, chats: Sequence[Sequence[Message]], most_tokens: int) -> list[str]:
        """The likeliest answer to each chat, token by token, through the shipped chat template."""

    def losses(self, texts: Sequence[str]) -> list[TextLoss]:
        """Of each text as it stands, without a template; the first token is not predicted."""

    def next_tokens(self, texts: Sequence[str], top: int) -> list[TokenScores]:
        """The most probable next tokens after each text."""

    def put(self, name: str, start: int, values: NDArray[np.float32]) -> None:
        """Overwrite elements ``start`` on of a tensor, by its name in the model's files, row-major.

        Raises ``UsageError`` (``model-tensor``) where the loaded model has no tensor of the name.
        """

    def close(self) -> None:
        """Let go of the weights."""


Opener = Callable[[str], Model]
"""From a folder to a loaded model; raises ``ParentageError``."""


def opener_on(device: str = "cpu") -> Opener:
    """Loads with transformers on a device: ``cpu``, or as torch names it."""
    return lambda folder: LocalModel(folder, device)


@contextmanager
def enough_memory(folder: str) -> Iterator[None]:
    """Turn what runs out of memory inside into ``RuntimeModelError`` (``model-no-memory``)."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch's class for a processor is RuntimeError; its text alone tells.
        told = str(error).lower()
        if isinstance(error, RuntimeError) and not any(words in told for words in NO_MEMORY):
            raise
        raise RuntimeModelError(
            f"the memory does not suffice for this model: {str(error)[:160]}",
            code="model-no-memory",
            where=folder,
            hint="a smaller model, or a machine with more memory",
        ) from None


class LocalModel:
    """A folder through transformers, in float32; raises what ``load_model`` and the template raise."""

    def __init__(self, folder: str, device: str = "cpu") -> None:
        self._folder, self._device = folder, device
        self._template, self._why = template_of(spec_of(folder))
        with enough_memory(folder):
            self._model, self._tokenizer = load_model(folder)
            self._move(device)
        self._tensors: dict[str, Any] = dict(self._model.state_dict())
        self._ends = _ends(self._model, self._tokenizer)

    def _move(self, device: str) -> None:
        try:
            self._model.to(device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"the model cannot be moved to {device}: {str(error)[:160]}",
                code="model-device",
                hint="--device cpu, or cuda where there is one",
            ) from None

    def answers(self, chats: Sequence[Sequence[Message]], most_tokens: int) -> list[str]:
        """In batches of ``BATCH`` in the order given, padded on the left."""
        prompts = self._prompts(chats)
        found: list[str] = []
        for start in range(0, len(prompts), BATCH):
            found += self._batch(prompts[start : start + BATCH], most_tokens)
        return found

    def _prompts(self, chats: Sequence[Sequence[Message]]) -> list[str]:
        if self._template is None:
            return ["\n".join(m["content"] for m in chat) + "\n" for chat in chats]
        rendered = render_prompts(self._template, [("shipped", chat) for chat in chats])
        for one in rendered:
            if isinstance(one, Absent):
                raise UsageError(
                    f"the chat template does not render a problem of the task: {one.reason}",
                    code="model-template",
                    where=self._folder,
                    hint="give the problems roles that the template knows",
                )
        return [one for one in rendered if isinstance(one, str)]

    def _batch(self, prompts: Sequence[str], most_tokens: int) -> list[str]:
        import torch

        rows = [self._ids(p)[-MOST_PROMPT:] for p in prompts]
        longest = max(map(len, rows))
        pad = min(self._ends, default=0)
        ids = torch.tensor([[pad] * (longest - len(r)) + r for r in rows], device=self._device)
        mask = torch.tensor([[0] * (longest - len(r)) + [1] * len(r) for r in rows], device=self._device)
        with enough_memory(self._folder), torch.inference_mode():
            out = self._model.generate(
                ids,
                attention_mask=mask,
                do_sample=False,
                repetition_penalty=1.0,
                max_new_tokens=most_tokens,
                pad_token_id=pad,
            )[:, longest:].tolist()
        return [self._text(one) for one in out]

    def _text(self, ids: list[int]) -> str:
        end = next((k for k, one in enumerate(ids) if one in self._ends), len(ids))
        return str(self._tokenizer.decode(ids[:end], skip_special_tokens=True))[:MOST_ANSWER]

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer(text, add_special_tokens=False).input_ids
        return found or [min(self._ends, default=0)]

    def _logprobs(self, ids: Sequence[int]) -> Any:
        import torch

        with enough_memory(self._folder), torch.inference_mode():
            logits = self._model(torch.tensor([list(ids)], device=self._device)).logits[0]
            found = torch.log_softmax(logits.double(), -1)
        if not bool(torch.isfinite(found).all()):
            raise RuntimeModelError(
                "the model gives probabilities that are not finite",
                code="model-not-finite",
                where=self._folder,
                hint="its weights are damaged, or too much noise was added",
            )
        return found

    def losses(self, texts: Sequence[str]) -> list[TextLoss]:
        """The first ``MOST_TEXT`` tokens of each text."""
        import torch

        found = []
        for text in texts:
            ids = self._ids(text)[:MOST_TEXT]
            if len(ids) < 2:
                found.append((0.0, 0))
                continue
            logs = self._logprobs(ids)[:-1]
            wanted = torch.tensor(ids[1:], device=self._device)[:, None]
            found.append((-math.fsum(logs.gather(1, wanted)[:, 0].tolist()), len(ids) - 1))
        return found

    def next_tokens(self, texts: Sequence[str], top: int) -> list[TokenScores]:
        """Ties by the token's number."""
        found = []
        for text in texts:
            logs = self._logprobs(self._ids(text)[-MOST_PROMPT:])[-1]
            values, places = logs.topk(min(top, logs.shape[0]))
            both = sorted(zip(values.tolist(), places.tolist(), strict=True), key=lambda p: (-p[0], p[1]))
            names = tuple(str(self._tokenizer.decode([k])) for _, k in both)
            found.append(TokenScores(names, tuple(v for v, _ in both)))
        return found

    def put(self, name: str, start: int, values: NDArray[np.float32]) -> None:
        """Tensors that share memory (a tied head) change together."""
        import torch

        tensor = self._tensors.get(name)
        if tensor is None:
            raise UsageError(
                f"the loaded model has no tensor {name}: it is loaded in another form than it is stored",
                code="model-tensor",
                where=self._folder,
                hint="models whose tensors are joined or renamed on loading are not supported here",
            )
        with torch.inference_mode():
            tensor.view(-1)[start : start + values.size].copy_(torch.from_numpy(values))

    def close(self) -> None:
        """Let go of the weights."""
        self._model = self._tokenizer = None
        self._tensors = {}


def _ends(model: Any, tokenizer: Any) -> frozenset[int]:
    """Ids that end an answer: the folder's generation settings', else the tokenizer's."""
    found = model.generation_config.eos_token_id
    if found is None:
        found = tokenizer.eos_token_id
    return frozenset(found if isinstance(found, list) else [] if found is None else [found])
