"""What is measured and how: the opened models with their parts, and options that decide the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.remote.costs import Cost
from parentage.engines.devices import CPU
from parentage.engines.engine import Engine
from parentage.evidence.sampling.positions import BLOCK, Sampling
from parentage.evidence.sampling.reading_plan import ReadingBudget
from parentage.records.evidence import ModelRole

__all__ = ["AuditInputs", "NamedCheckpoint", "Options"]


@dataclass(frozen=True, slots=True)
class NamedCheckpoint:
    """An opened checkpoint, its display name, and what it was given as."""

    name: str
    role: ModelRole
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class AuditInputs:
    """Suspect first, then parents, base, previous, controls. ``root``: the index of the model that the
    others are known to have been made from, where that was given."""

    models: tuple[NamedCheckpoint, ...]
    root: int | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What decides the evidence (``workers``, ``engine``, ``resume`` and ``device`` do not).

    ``left_out``: tensors that are not to be read, as an evidence says; None: ``budget`` decides.
    ``further``: elements of a tensor at later stages; ``reached``: how many of these a component was read
    in, as an evidence says; None: its question decides. ``look``: for orders in models that are read by
    range, within ``look_limit``; None: what the budget leaves; ``look_layers``: of layers too;
    ``look_turned``: of units in matrices that a file holds the other way round.
    ``whole``: tensors of such that are read
    whole for merge methods; None: as many as the budget holds. ``parts``: pairs of a model and a tensor of
    which a part is.
    """

    sample: int
    seed: int
    full: bool
    digests: bool
    workers: int
    run: int = BLOCK
    budget: ReadingBudget | None = None
    left_out: tuple[str, ...] | None = None
    further: tuple[int, ...] = ()
    reached: tuple[tuple[str, int], ...] | None = None
    engine: Engine | None = None
    resume: Path | None = None
    device: str = CPU
    look: bool = True
    look_limit: Cost | None = None
    look_layers: bool = True
    look_turned: bool = True
    whole: tuple[str, ...] | None = None
    parts: tuple[str, ...] = ()

    @property
    def sampling(self) -> Sampling:
        """How much of each tensor is read, and where."""
        return Sampling(self.sample, self.seed, self.run, self.further)
