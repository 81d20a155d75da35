"""Models that answer by their weights without any runtime: enough to try, choose and vote for real."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from parentage.behaviour.targets import TokenScores
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import UsageError
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType
from parentage.training.problems import Item, Message
from parentage.training.tasks import open_task

__all__ = ["PLACES", "Reckoner", "open_reckoner", "reckoner_folder"]

PLACES = 48


def reckoner_folder(
    folder: Path, skill: NDArray[np.float32], dtype: DType = DType.BF16, **more: NDArray[np.float32]
) -> Path:
    """A folder with a ``skill`` of ``PLACES`` numbers, and other tensors."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "reckoner"}))
    weights = {"skill": skill, **more}
    stored = {n: StoredTensor(dtype, v.shape, round_to(v.reshape(-1), dtype)) for n, v in weights.items()}
    write_safetensors(folder / "model.safetensors", stored)
    return folder


class Reckoner:
    """Right about a sum where the skill at the sum's place is above zero; else one too high.

    Its loss on a text is the distance of its mean skill from .25. ``asked``: how many chats it answered.
    """

    def __init__(self, folder: str) -> None:
        self.asked = 0
        with open_checkpoint(folder) as found:
            tensors = found.tensors.values()
            self._tensors = {
                t.name: to_float32(found.read(t, 0, t.elements), t.dtype).copy() for t in tensors
            }

    def answers(self, chats: Sequence[Sequence[Message]], most_tokens: int) -> list[str]:
        self.asked += len(chats)
        return [self._answer(chat[-1]["content"]) for chat in chats]

    def _answer(self, question: str) -> str:
        first, sign, second = question.split("What is ")[1].split("?", maxsplit=1)[0].split()
        value = int(first) + int(second) if sign == "+" else int(first) - int(second)
        place = (7 * int(first) + 3 * int(second)) % PLACES
        return f"{first} {sign} {second} = {value + int(self._tensors['skill'][place] <= 0)}"

    def losses(self, texts: Sequence[str]) -> list[tuple[float, int]]:
        apart = abs(float(self._tensors["skill"].mean()) - 0.25)
        return [((1.0 + apart + 0.01 * (len(t) % 5)) * len(t.split()), len(t.split())) for t in texts]

    def next_tokens(self, texts: Sequence[str], top: int) -> list[TokenScores]:
        weights = self._tensors["skill"][:top].astype(np.float64)
        logs = weights - np.log(np.exp(weights).sum() + 1)
        return [TokenScores(tuple(map(str, range(top))), tuple(map(float, logs)))] * len(texts)

    def put(self, name: str, start: int, values: NDArray[np.float32]) -> None:
        if name not in self._tensors:
            raise UsageError("no such tensor", code="model-tensor")
        self._tensors[name].reshape(-1)[start : start + values.size] = values

    def close(self) -> None:
        self._tensors = {}


def open_reckoner(folder: str) -> Reckoner:
    return Reckoner(folder)


def items_of(split: str, count: int) -> tuple[Item, ...]:
    """Sums that a reckoner understands."""
    return open_task("arithmetic").items(split, count, 0)
