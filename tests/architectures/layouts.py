"""Models of each family with true names and random numbers, and the same numbers in other layouts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from parentage.architectures.alignment import Alignment, align
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.opening import open_checkpoint
from parentage.records.tensors import TensorRef

NAMES = Path(__file__).parent / "names"
FAMILIES = sorted(path.stem for path in NAMES.glob("*.json"))
Arrays = dict[str, NDArray[Any]]


def shapes_of(family: str) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    """Shapes by name, and the config's fields that matter here."""
    found = json.loads((NAMES / f"{family}.json").read_text())
    return {n: tuple(s) for n, s in found["shapes"].items()}, found["config"]


def random_model(family: str, seed: int = 0) -> Arrays:
    """Normal numbers in float32."""
    rng = np.random.default_rng(seed)
    shapes, _ = shapes_of(family)
    return {n: rng.standard_normal(s, dtype=np.float32) for n, s in shapes.items()}


def write(folder: Path, model: Arrays, config: Mapping[str, Any] | None = None, **files: str) -> Path:
    """A checkpoint's folder; ``files`` are texts beside the weights, with ``_`` for the dot."""
    folder.mkdir(parents=True)
    save_file({n: np.ascontiguousarray(v) for n, v in model.items()}, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    for name, text in files.items():
        (folder / name.replace("_", ".", 1)).write_text(text)
    return folder


class Aligned:
    """An alignment of written checkpoints, kept open so that slices can be read."""

    def __init__(self, stack: ExitStack, *folders: Path, by_content: bool = False) -> None:
        self.models: list[Checkpoint] = [stack.enter_context(open_checkpoint(f)) for f in folders]
        self.found: Alignment = align(self.models[0], self.models[1:], by_content=by_content)

    def equal(self) -> dict[str, bool]:
        """By the suspect's tensors that meet the first other: do both read alike, in every element?"""
        return {
            g.name: bool(np.array_equal(self.read(0, g.suspect), self.read(1, g.others[0])))
            for g in self.found.groups
            if isinstance(g.others[0], TensorRef)
        }

    def read(self, k: int, ref: object) -> NDArray[Any]:
        """All elements of a presented tensor, and the same by small runs."""
        assert isinstance(ref, TensorRef)
        whole = self.models[k].read(ref, 0, ref.elements)
        step = max(1, ref.elements // 3)
        runs = [
            self.models[k].read(ref, a, min(step, ref.elements - a)) for a in range(0, ref.elements, step)
        ]
        assert np.array_equal(np.concatenate(runs), whole)
        return whole

    def unmatched(self, k: int) -> dict[str, str]:
        """Reasons by tensor, for one of the checkpoints."""
        return {u.tensor: u.reason for u in self.found.unmatched if u.checkpoint_index == k}
