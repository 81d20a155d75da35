"""Which tensors of several checkpoints are the same tensor; what is unmatched, each with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from parentage.architectures.roles import TensorRole, role_of
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import AlignmentError
from parentage.records.absence import Absent
from parentage.records.tensors import TensorRef

__all__ = ["AlignedTensor", "Alignment", "Unmatched", "align"]

# Wrappers add these in front of the names of one and the same model; longest first.
PREFIXES = ("model.language_model.", "0.auto_model.", "transformer.", "model.", "bert.")


@dataclass(frozen=True, slots=True)
class AlignedTensor:
    """A tensor of the suspect and its counterparts, ``Absent`` where there is none."""

    name: str
    role: TensorRole
    suspect: TensorRef
    others: tuple[TensorRef | Absent, ...]


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A tensor without counterpart. ``checkpoint_index`` 0 is the suspect."""

    checkpoint_index: int
    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Alignment:
    """All tensors of the suspect that meet at least one other, and everything that meets none."""

    groups: tuple[AlignedTensor, ...]
    unmatched: tuple[Unmatched, ...]


def align(suspect: Checkpoint, others: Sequence[Checkpoint]) -> Alignment:
    """Align by name, then by name without well-known prefixes; shapes must agree."""
    maps = [_by_stem(other.tensors) for other in others]
    groups, unmatched = [], []
    used: list[set[str]] = [set() for _ in others]
    for name, tensor in suspect.tensors.items():
        found = tuple(
            _counterpart(tensor, other.tensors, stems) for other, stems in zip(others, maps, strict=True)
        )
        for k, ref in enumerate(found):
            if isinstance(ref, TensorRef):
                used[k].add(ref.name)
            else:
                unmatched.append(Unmatched(k + 1, name, ref.reason))
        if any(isinstance(ref, TensorRef) for ref in found):
            groups.append(AlignedTensor(name, role_of(name), tensor, found))
        else:
            unmatched.append(Unmatched(0, name, "no other model has this tensor"))
    for k, other in enumerate(others):
        rest = [n for n in other.tensors if n not in used[k]]
        unmatched += [Unmatched(k + 1, n, "the suspect has no such tensor") for n in rest]
    if not groups:
        raise AlignmentError(
            "no tensor of the suspect meets one of the others by name and shape",
            where=suspect.locator,
            hint="are these models of one architecture?",
        )
    return Alignment(tuple(groups), tuple(unmatched))


def stem(name: str) -> str:
    """The name without a wrapper's prefix."""
    for prefix in PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


def _by_stem(tensors: Mapping[str, TensorRef]) -> dict[str, TensorRef | None]:
    """Stem to tensor; None when two tensors share a stem, so that none is guessed."""
    stems: dict[str, TensorRef | None] = {}
    for name, tensor in tensors.items():
        key = stem(name)
        stems[key] = None if key in stems else tensor
    return stems


def _counterpart(
    tensor: TensorRef, tensors: Mapping[str, TensorRef], stems: Mapping[str, TensorRef | None]
) -> TensorRef | Absent:
    found = tensors.get(tensor.name) or stems.get(stem(tensor.name))
    if found is None:
        return Absent("it has no such tensor")
    if found.shape != tensor.shape:
        return Absent(f"its shape is {list(found.shape)}, the suspect's {list(tensor.shape)}")
    if found.dtype.is_float != tensor.dtype.is_float:
        return Absent(f"its dtype is {found.dtype.value}, the suspect's {tensor.dtype.value}")
    return found
