"""A run under way: rates, seeds, averages, states to go on from, and what stops it.

What a step does depends on (seed, step) and the weights alone: generators are sown anew at each step, and
data are drawn by position. So a run that goes on from a state does what an unbroken one does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from parentage.errors import EvidenceError, TrainingError
from parentage.records.json_files import load_json, write_json
from parentage.records.training import WeightFile
from parentage.training.folders import RunFolder
from parentage.training.loading import sow
from parentage.training.outputs import Writer, swapped, trainable
from parentage.training.settings import Course

__all__ = ["Progress", "Run", "positions"]

SCHEMA = "parentage.training-state"
VERSION = 1
Progress = Callable[[str, int, int], None]


def positions(course: Course, step: int, count: int) -> list[int]:
    """Which of ``count`` examples a step sees: each epoch all of them, in an order of its own."""
    wanted = course.optimizer.examples
    found: list[int] = []
    for at in range(step * wanted, (step + 1) * wanted):
        epoch, place = divmod(at, count)
        if place == 0 or not found:
            order = np.random.default_rng([course.seed, epoch]).permutation(count)
        found.append(int(order[place]))
    return found


class Run:
    """The weights that are trained, their optimizer, and the folder that keeps them."""

    def __init__(self, writer: Writer, course: Course, folder: RunFolder, progress: Progress) -> None:
        import torch

        self.writer, self.course, self.folder, self.progress = writer, course, folder, progress
        self.parameters = trainable(writer.model)
        self.losses: list[float] = []
        self.rewards: list[float] = []
        self.kept: dict[str, tuple[WeightFile, ...]] = {}
        self.optimizer = _optimizer(self.parameters, course)
        self.average = (
            {name: p.detach().to(torch.float32, copy=True) for name, p in self.parameters.items()}
            if course.keeping.ema
            else {}
        )
        states = folder.states()
        self.start = self._resume(*states[-1]) if states else 0

    @property
    def steps(self) -> int:
        """Of the whole run."""
        return self.course.optimizer.steps

    def begin(self, step: int) -> None:
        """Before anything is drawn for a step."""
        sow(self.course.seed, step)
        for group in self.optimizer.param_groups:
            group["lr"] = self.course.optimizer.rate_at(step)

    def check(self, value: float, what: str) -> None:
        """Raise ``TrainingError`` (``training-not-finite``) before such a number reaches a weight."""
        if math.isfinite(value):
            return
        states = self.folder.states()
        kept = "no state had been saved yet"
        if states:
            kept = f"the model after step {states[-1][0]} is kept in checkpoints/last-good"
            self._load_weights(states[-1][1])
            self._write("last-good")
        raise TrainingError(
            f"step {len(self.losses) + 1} of {self.steps}: the {what} is not a finite number; {kept}",
            code="training-not-finite",
            where=str(self.folder.path),
            hint="a lower --rate, a longer --warmup, --clip 1, or --precision fp32; look at the data",
        )

    def clip(self) -> None:
        """Bound the gradient's norm; raises as :meth:`check`."""
        import torch

        most = self.course.optimizer.clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), most)
        self.check(float(norm), "gradient")

    def finish(self, step: int, loss: float) -> None:
        """After the weights have changed: note, average, keep, save."""
        import torch

        self.losses.append(loss)
        decay, done = self.course.keeping.ema, step + 1
        with torch.no_grad():
            for name, mean in self.average.items():
                mean.mul_(decay).add_(self.parameters[name].float(), alpha=1 - decay)
        if done in self.course.keeping.steps:
            self._write(f"step-{done}")
        every = self.course.keeping.save_every
        if every and done % every == 0 and done < self.steps:
            self._save(done)
        self.progress("training", done, self.steps)

    def conclude(self) -> tuple[WeightFile, ...]:
        """The average, then the last model, into the run's folder; its weight files."""
        if self.average:
            with swapped(self.parameters, self.average):
                self._write("ema")
        return self.writer.write(self.folder.path)

    def _write(self, name: str) -> None:
        (self.folder.path / "checkpoints").mkdir(exist_ok=True)
        made = self.folder.new(f"checkpoints/{name}")
        self.kept[name] = self.writer.write(made)
        self.folder.keep(made, f"checkpoints/{name}")

    def _save(self, done: int) -> None:
        from safetensors.torch import save_file

        made = self.folder.new(f"state-{done:08}")
        save_file(_plain(self.parameters), str(made / "weights.safetensors"))
        moments: dict[str, Any] = {}
        for name, p in self.parameters.items():
            # A parameter that no gradient has reached yet has no moments.
            known = self.optimizer.state.get(p, {})
            moments |= {f"{key}.{name}": known[key] for key in sorted(known)}
        save_file(_plain(moments), str(made / "moments.safetensors"))
        if self.average:
            save_file(_plain(self.average), str(made / "average.safetensors"))
        kept = {k: [[f.name, f.size, f.sha256] for f in files] for k, files in self.kept.items()}
        table = {"losses": self.losses, "rewards": self.rewards, "kept": kept}
        write_json(made / "state.json", {"schema": SCHEMA, "version": VERSION, "step": done, **table})
        self.folder.keep_state(made, done)

    def _resume(self, step: int, place: Path) -> int:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        table = load_json(place / "state.json", schema=SCHEMA, version=VERSION)
        try:
            self._load_weights(place)
            moments = load_file(str(place / "moments.safetensors"), str(self.course.machine.device))
            for name, p in self.parameters.items():
                self._restore(name, p, moments)
            if self.average:
                self.average = _filled(self.average, load_file(str(place / "average.safetensors")))
            self.losses = [float(v) for v in table["losses"]]
            self.rewards = [float(v) for v in table["rewards"]]
            self.kept = {k: tuple(WeightFile(*f) for f in v) for k, v in table["kept"].items()}
        except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
            raise _damaged(place, f"{type(error).__name__}: {error}") from None
        if len(self.losses) != step or table.get("step") != step:
            raise _damaged(place, "it is of another step than its name says")
        return step

    def _restore(self, name: str, parameter: Any, moments: Mapping[str, Any]) -> None:
        keys = ("exp_avg", "exp_avg_sq", "step")
        if f"step.{name}" in moments:
            found = {key: moments[f"{key}.{name}"] for key in keys}
            # torch keeps the count of steps on the CPU.
            self.optimizer.state[parameter] = {**found, "step": found["step"].cpu()}

    def _load_weights(self, place: Path) -> None:
        import torch
        from safetensors.torch import load_file

        saved = load_file(str(place / "weights.safetensors"))
        with torch.no_grad():
            for name, p in self.parameters.items():
                p.copy_(saved[name])


def _optimizer(parameters: Mapping[str, Any], course: Course) -> Any:
    import torch

    o = course.optimizer
    # Norms and biases are not decayed, as is usual (transformers' Trainer does the same).
    groups = [
        {"params": [p for p in parameters.values() if p.dim() >= 2], "weight_decay": o.weight_decay},
        {"params": [p for p in parameters.values() if p.dim() < 2], "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    return torch.optim.AdamW(groups, lr=o.rate, betas=o.betas, eps=o.epsilon)


def _plain(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {name: t.detach().contiguous() for name, t in sorted(tensors.items())}


def _filled(targets: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    return {name: t.copy_(saved[name]) for name, t in targets.items()}


def _damaged(place: Path, why: str) -> EvidenceError:
    return EvidenceError(
        f"the saved state cannot be gone on from: {why}"[:300],
        code="training-state",
        where=str(place),
        hint="delete that folder: the run goes on from an earlier state, or begins again",
    )
