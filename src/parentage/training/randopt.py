"""RandOpt: random members W + σ·ε of a model, scored on a task; the best are kept, and vote.

Source: "Neural thickets", arXiv 2603.12228, and its published code. Unlike there, members are rounded from
the base each time (there noise is added and subtracted again, which leaves rounding errors in the base), σ
is taken in turn from the list instead of drawn, and the kept members are written as models.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from parentage import __version__
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import OutputError, UsageError
from parentage.records.randopt import Against, KeptMember, RandOptRun, TriedMember, save_randopt
from parentage.records.training import DataUsed, ModelUsed, TrainingRecord, WeightFile, save_training
from parentage.training.asking import Answered, ask
from parentage.training.drawing import draws
from parentage.training.ledger import Ledger
from parentage.training.models import Model, Opener, opener_on
from parentage.training.noise import NOISES
from parentage.training.perturbing import Perturbation, check_base, digests_of, load_into, write_member
from parentage.training.problems import HELD_OUT, TUNED, Item, Task
from parentage.training.scores import gap, majority, paired_difference, rate, sign_test
from parentage.training.tasks import open_task

__all__ = ["RandOptSettings", "check_out", "libraries", "randopt"]

NAME: Final = "randopt.json"
RECORD: Final = "training.json"
ANSWERS: Final = "answers.jsonl"
MOST_SEEDS: Final = 10_000
Progress = Callable[[str, int, int], None]
SHARED: Final = (
    "Each tensor's noise begins with the same numbers: element k, in row-major order, gets number k of the "
    "stream of the member's seed, rounded to the tensor's dtype"
)
STREAMS: Final = {
    "counter": f"{SHARED}. The stream is splitmix64 of a counter through Box and Muller's transform.",
    "torch": f"{SHARED}, as torch.randn draws it for a tensor of that size: tensors of fewer than 16 "
    "elements have another stream than larger ones, and where the number of elements is no multiple of 16 "
    "the last 16 are drawn apart.",
}
LIMITS: Final = (
    "Members were chosen by their tuned scores, which are therefore too high; judge by held-out ones.",
    "Held-out problems are of the same task; nothing is said of others.",
)


@dataclass(frozen=True, slots=True)
class RandOptSettings:
    """What to do.

    ``model``: a folder of safetensors; ``task``: as ``open_task`` takes it; ``seeds``: members tried;
    ``sigmas``: taken in turn; ``items``: tuned problems that each member is asked; ``keep``: members that
    are written and vote; ``held_out``: problems that tell how they do; ``noise``: "counter" or "torch";
    ``seed``: of members and problems.
    """

    model: str
    task: str
    out: Path
    seeds: int = 16
    sigmas: tuple[float, ...] = (0.001,)
    items: int = 24
    keep: int = 4
    held_out: int = 96
    noise: str = "counter"
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 1 <= self.keep <= self.seeds <= MOST_SEEDS:
            raise _senseless(f"of {self.seeds} members (at most {MOST_SEEDS:,}) {self.keep} cannot be kept")
        if self.items < 1 or self.held_out < 1:
            raise _senseless("there must be one problem or more, tuned and held out")
        if not self.sigmas or not all(0.0 < s <= 1.0 for s in self.sigmas):
            raise _senseless("each sigma must be above 0 and at most 1")
        if self.noise not in NOISES:
            raise _senseless(f"the noise is one of {', '.join(NOISES)}")


def _senseless(message: str) -> UsageError:
    return UsageError(message, code="randopt-settings", hint="parentage train randopt --help")


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody listens."""


def randopt(
    settings: RandOptSettings, *, opener: Opener | None = None, progress: Progress = _silent
) -> RandOptRun:
    """Try, keep, write and vote; ``settings.out`` appears when all of it is there.

    An interrupted run goes on with the same settings. In memory: one loaded model and a piece of a tensor.
    Raises ``UsageError`` (``randopt-settings``, ``randopt-output``, ``ledger-other-run``, ``task-…``,
    ``model-…``), ``CheckpointError`` (``perturb-format``), ``OutputError`` and what loading raises.
    """
    task = open_task(settings.task)
    tuned = task.items(TUNED, settings.items, settings.seed)
    held_out = task.items(HELD_OUT, settings.held_out, settings.seed)
    check_out(settings.out, settings.model)
    with open_checkpoint(settings.model) as checkpoint:
        check_base(checkpoint)
        files = digests_of(checkpoint)
        partial = settings.out.with_name(f"{settings.out.name}.partial")
        ledger = Ledger(partial / ANSWERS, _identity(settings, files))
        try:
            with _loaded(settings, checkpoint, opener or opener_on(settings.device)) as members:
                run = _Run(settings, task, tuned, held_out, members, ledger, progress)
                found = run.result(checkpoint, partial, files)
        finally:
            ledger.close()
    save_randopt(found, partial / NAME)
    _publish(partial, settings.out)
    return found


def _identity(settings: RandOptSettings, files: Mapping[str, str]) -> dict[str, Any]:
    own = _asked(settings)
    return {**own, "weights": dict(files), "libraries": libraries(), "version": __version__}


def _asked(settings: RandOptSettings) -> dict[str, Any]:
    return {
        "task": settings.task,
        "seeds": settings.seeds,
        "sigmas": list(settings.sigmas),
        "items": settings.items,
        "keep": settings.keep,
        "held_out": settings.held_out,
        "noise": settings.noise,
        "seed": settings.seed,
        "device": settings.device,
    }


def libraries() -> dict[str, str]:
    """Versions of what answers depend on, of those that are there."""
    found = {}
    for name in ("numpy", "torch", "transformers", "tokenizers"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


Members = Callable[[Perturbation], Model]


@contextmanager
def _loaded(settings: RandOptSettings, checkpoint: Checkpoint, opener: Opener) -> Iterator[Members]:
    """One model, loaded when it is first needed, whose weights become those of the member asked for."""
    opened: list[Model] = []

    def member(change: Perturbation) -> Model:
        if not opened:
            opened.append(opener(settings.model))
        load_into(opened[0], checkpoint, change)
        return opened[0]

    try:
        yield member
    finally:
        for model in opened:
            model.close()


@dataclass(frozen=True, slots=True)
class _Run:
    settings: RandOptSettings
    task: Task
    tuned: tuple[Item, ...]
    held_out: tuple[Item, ...]
    members: Members
    ledger: Ledger
    progress: Progress

    def result(self, checkpoint: Checkpoint, partial: Path, files: Mapping[str, str]) -> RandOptRun:
        own = self._base(self.tuned), self._base(self.held_out)
        tried = self._tried()
        # Of equal scores the one that was tried first.
        order = sorted(range(len(tried)), key=lambda k: (-tried[k].tuned.estimate, k))[: self.settings.keep]
        answered, kept = [], []
        for rank, k in enumerate(order):
            self.progress("keeping", rank, len(order))
            found = self._ask(tried[k], self.held_out)
            answered.append(found)
            kept.append(self._kept(tried[k], rank, found, own[1], checkpoint, partial))
        return RandOptRun(
            tool=f"parentage {__version__}",
            base=self.settings.model,
            base_files=files,
            settings=_asked(self.settings),
            libraries=libraries(),
            noise_stream=STREAMS[self.settings.noise],
            base_tuned=rate(own[0].scores),
            base_held_out=rate(own[1].scores),
            tried=tried,
            kept=tuple(kept),
            ensemble=_against(self._vote(answered), own[1].scores),
            answers_asked=(1 + len(tried)) * len(self.tuned) + (1 + len(kept)) * len(self.held_out),
            limits=LIMITS,
        )

    def _base(self, items: Sequence[Item]) -> Answered:
        noise = NOISES["counter"](0)
        return ask(self.ledger, "base", self.task, items, lambda: self.members(Perturbation(noise, 0.0)))

    def _tried(self) -> tuple[TriedMember, ...]:
        settings, found = self.settings, list[TriedMember]()
        for k, seed in enumerate(_seeds(settings.seed, settings.seeds)):
            self.progress("members", k, settings.seeds)
            sigma = settings.sigmas[k % len(settings.sigmas)]
            blank = TriedMember(seed, sigma, rate(()))
            found.append(TriedMember(seed, sigma, rate(self._ask(blank, self.tuned).scores)))
        self.progress("members", settings.seeds, settings.seeds)
        return tuple(found)

    def _change(self, member: TriedMember) -> Perturbation:
        return Perturbation(NOISES[self.settings.noise](member.seed), member.sigma)

    def _ask(self, member: TriedMember, items: Sequence[Item]) -> Answered:
        name = f"{member.seed}|{member.sigma!r}"
        return ask(self.ledger, name, self.task, items, lambda: self.members(self._change(member)))

    def _kept(
        self,
        member: TriedMember,
        rank: int,
        found: Answered,
        own: Answered,
        checkpoint: Checkpoint,
        partial: Path,
    ) -> KeptMember:
        folder = f"member-{rank + 1:02}"
        write_member(partial / folder, checkpoint, self._change(member))
        with open_checkpoint(str(partial / folder)) as written:
            files = digests_of(written)
            save_training(self._record(member, checkpoint, written), partial / folder / RECORD)
        against = _against(found.scores, own.scores)
        apart = gap(member.tuned, against.score)
        return KeptMember(folder, member.seed, member.sigma, member.tuned, against, apart, files)

    def _record(self, member: TriedMember, base: Checkpoint, written: Checkpoint) -> TrainingRecord:
        floats = sum(t.elements for t in base.tensors.values() if t.dtype.is_float)
        digest = hashlib.sha256("".join(i.key for i in self.tuned).encode()).hexdigest()
        own = {"noise_seed": member.seed, "sigma": member.sigma, "noise": self.settings.noise}
        return TrainingRecord(
            tool=f"parentage {__version__}",
            kind="randopt",
            base=ModelUsed(self.settings.model, _weight_files(base)),
            data=DataUsed(self.task.name, digest, len(self.tuned)),
            settings=own,
            libraries=libraries(),
            parameters=floats,
            trained=floats,
            steps=0,
            losses=(),
            rates=(),
            dose=0.0,
            files=_weight_files(written),
            kept={},
        )

    def _vote(self, answered: Sequence[Answered]) -> list[float]:
        """A reading is itself an answer: the task scores it as it scores a text."""
        votes = zip(self.held_out, zip(*(a.readings for a in answered), strict=True), strict=True)
        return [self.task.score(item, majority(readings)) for item, readings in votes]


def _weight_files(checkpoint: Checkpoint) -> tuple[WeightFile, ...]:
    digests = digests_of(checkpoint)
    return tuple(WeightFile(s.name, s.size, digests[s.name]) for s in checkpoint.shards)


def _seeds(seed: int, count: int) -> list[int]:
    """Different ones of 31 bits, as the published code draws them."""
    found: dict[int, None] = {}
    for one in draws(seed, "randopt members", 2**31):
        if len(found) == count:
            break
        found[one] = None
    return list(found)


def _against(scores: Sequence[float], own: Sequence[float]) -> Against:
    return Against(rate(scores), paired_difference(scores, own), sign_test(scores, own))


def check_out(out: Path, *inputs: str) -> None:
    """Refuse an output that holds something, or is, holds or lies in an input: ``UsageError``
    (``randopt-output``)."""
    real = Path(os.path.realpath(out))
    for place in inputs:
        other = Path(os.path.realpath(place))
        if real == other or real in other.parents or (other.is_dir() and other in real.parents):
            raise _refused(out, "the output is, holds or lies in the folder of an input")
    if real.exists() and (not real.is_dir() or any(real.iterdir())):
        raise _refused(out, "the output is there already, and not an empty folder")


def _refused(out: Path, message: str) -> UsageError:
    return UsageError(message, code="randopt-output", where=str(out), hint="name a new folder elsewhere")


def _publish(partial: Path, out: Path) -> None:
    try:
        if out.exists():
            out.rmdir()
        partial.rename(out)
    except OSError as error:
        raise OutputError(
            f"could not be written: {error.strerror or error}",
            code="output-not-written",
            where=str(out),
            hint="check that the folder may be written",
        ) from None
