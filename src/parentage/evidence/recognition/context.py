"""What recognisers see: the models, the probe's tensors, and numbers that several of them need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.recognition.memory import Memory
from parentage.evidence.recognition.spans import Span, fit_span
from parentage.evidence.recognition.whole_tensors import WholeTensors
from parentage.merging.operands import Operand, Operands
from parentage.methods.registry import method
from parentage.numerics.storage.formats import to_float64
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.evidence import Replay, TensorEvidence
from parentage.records.tensors import TensorRef

__all__ = ["FLOATS", "Context", "Probe"]

FLOATS: Final = (DType.BF16, DType.F16, DType.F32)
# Sets of parents that are tried: all of them, and every pair and triple of so many.
MOST_PARENTS: Final = 4
# Elements of a tensor up to which it stays in memory while it is searched; a probe's are no larger.
HELD: Final = 2**22


@dataclass(frozen=True, slots=True)
class Probe:
    """A tensor of which every model was read whole: ``values`` float64 by model (0 the suspect)."""

    name: str
    values: Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True)
class Context:
    """One audit, as recognisers see it.

    ``sources``: parents, then the base if it is none of them; ``base`` is that model, or None where it was
    not said which it is. ``probes``: names of the tensors on which candidates compete, smallest first.
    """

    tensors: Sequence[TensorEvidence]
    groups: Mapping[str, AlignedTensor]
    checkpoints: Sequence[Checkpoint]
    sources: tuple[int, ...]
    base: int | None
    controls: tuple[int, ...]
    probes: tuple[str, ...]
    linear: Replay | None
    workers: int
    progress: Callable[[str, int, int], None]
    full: bool = False
    """Does the audit read everything, however long it takes?"""
    whole: WholeTensors | None = None
    """What may be read whole, where a model is read by range; None: everything."""
    found: list[str] = field(default_factory=list)
    """Methods that replay the probe, as they are found."""
    memory: Memory = field(default_factory=Memory)
    """The probe's tensors, as they are read."""
    _read: dict[str, Probe] = field(default_factory=dict)
    _spans: dict[tuple[int, ...], Span] = field(default_factory=dict)
    _known: dict[str, Any] = field(default_factory=dict)

    def once(self, what: str, work: Callable[[], Any]) -> Any:
        """What several recognisers need of one audit, worked out by the first."""
        if what not in self._known:
            self._known[what] = work()
        return self._known[what]

    @property
    def settled(self) -> bool:
        """Does a recipe replay already? Then others are only asked whether they do as well."""
        return bool(self.found)

    def operands(self, name: str, models: Sequence[int], base: int | None = None) -> Operands | None:
        """A tensor of some models as a method reads it; None where one of them has it not, or as codes, or
        where it may not be read whole."""
        if self.whole is not None and name not in self.whole.names:
            return None
        return self.outline(name, models, base)

    def outline(self, name: str, models: Sequence[int], base: int | None = None) -> Operands | None:
        """The same for its shape alone: of a tensor that may not be read."""
        kept = self.memory.known(name, tuple(models), base)
        if kept is not None:
            return kept
        group = self.groups[name]
        refs = [self._ref(group, k) for k in models]
        parts = list[Operand]()
        for k, ref in zip(models, refs, strict=True):
            if isinstance(ref, Absent) or ref.encoding or ref.dtype not in FLOATS:
                return None
            parts.append(Operand(self.checkpoints[k], ref))
        found = Operands(parts, tuple(group.suspect.shape), base)
        if name in self.probes and group.suspect.elements <= HELD:
            return self.memory.operands(name, found, tuple(models))
        return found

    def _ref(self, group: AlignedTensor, model: int) -> TensorRef | Absent:
        return group.suspect if model == 0 else group.others[model - 1]

    def probe(self, name: str) -> Probe:
        """All of a probe tensor's numbers; kept, for probes are small."""
        if name not in self._read:
            values = {}
            for k in (0, *self.sources):
                found = self.operands(name, (k,))
                if found is not None:
                    values[k] = _whole(found)
            self._read[name] = Probe(name, values)
        return self._read[name]

    def span(self, models: tuple[int, ...]) -> Span:
        """The suspect as a weighted sum of some models, roughly; kept."""
        if models not in self._spans:
            self._spans[models] = fit_span(self, models)
        return self._spans[models]

    @cached_property
    def held(self) -> DType:
        """The narrowest format that most of the suspect's tensors fit, whatever they are stored in."""
        kinds = [t.effective_dtypes[0] for t in self.tensors]
        known = [d for d in FLOATS if d.value in kinds]
        return max(known, key=lambda d: kinds.count(d.value), default=DType.F32)

    @cached_property
    def bases(self) -> tuple[int, ...]:
        """What may have been the base: the one that was named, else each source in turn, last first."""
        return (self.base,) if self.base is not None else tuple(reversed(self.sources))

    def sets(self, least: int, most: int) -> Iterator[tuple[int, ...]]:
        """Sets of sources, in order, from the largest down."""
        sizes = range(min(most, len(self.sources)), least - 1, -1)
        for size in sizes:
            if size == len(self.sources) or len(self.sources) <= MOST_PARENTS:
                yield from combinations(self.sources, size)

    @cached_property
    def dtypes(self) -> tuple[DType, ...]:
        """What a tool may have computed in: the format that the suspect's numbers are of, else float32."""
        return tuple(dict.fromkeys([self.held, DType.F32]))

    def arithmetics(self, name: str) -> Iterator[tuple[str, DType]]:
        """(profile, dtype) in which a method may have been computed, tools first."""
        profiles = method(name).profiles
        for profile in ("mergekit-0.1.5", "mergekit-0.1.4"):
            if profile in profiles:
                yield from ((profile, d) for d in self.dtypes)
        if "parentage-1" in profiles:
            yield "parentage-1", DType.F32


def _whole(found: Operands) -> NDArray[np.float64]:
    part = found.parts[0]
    return to_float64(part.bits(0, found.elements), part.tensor.dtype)
