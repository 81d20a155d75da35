"""Which tensors of several checkpoints are the same tensor; what is unmatched, each with a reason.

The suspect's layout leads: what another model keeps fused, split, turned or under other names is presented
as the suspect keeps it (see ``counterparts``), and said so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parentage.architectures.counterparts import Match, counterpart
from parentage.architectures.extras import leftover_reason, unmatched_reason
from parentage.architectures.layer_maps import LayersFound, map_layers
from parentage.architectures.naming import Holder, Naming, name_checkpoint
from parentage.architectures.roles import TensorRole, role_of
from parentage.architectures.shapes import fit_shape, wants_turning
from parentage.architectures.vocabulary import RowPairs, Vocabularies
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import AlignmentError
from parentage.records.absence import Absent
from parentage.records.tensors import TensorRef

__all__ = ["AlignedTensor", "Alignment", "Presented", "Unmatched", "align"]

DROPPED = "the suspect has no layer like this one"


@dataclass(frozen=True, slots=True)
class AlignedTensor:
    """A tensor of the suspect and its counterparts, ``Absent`` where there is none.

    ``suspect`` may be some rows of the stored tensor, where vocabularies differ.
    """

    name: str
    role: TensorRole
    suspect: TensorRef
    others: tuple[TensorRef | Absent, ...]
    turned: bool = False
    """Does the suspect's file hold a linear map as [in, out]?"""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A tensor without counterpart. ``checkpoint_index`` 0 is the suspect."""

    checkpoint_index: int
    tensor: str
    reason: str


@dataclass(frozen=True, slots=True)
class Presented:
    """A counterpart that is not one tensor as stored, and how it is presented instead."""

    checkpoint_index: int
    tensor: str
    how: str


@dataclass(frozen=True, slots=True)
class Alignment:
    """All tensors of the suspect that meet at least one other, and everything that meets none.

    ``families``: title of each model's family, suspect first; ``Absent`` where names and shapes alone were
    used. ``layers``: by other model, the maps of stacks whose layers do not all meet by number.
    """

    groups: tuple[AlignedTensor, ...]
    unmatched: tuple[Unmatched, ...]
    presented: tuple[Presented, ...] = ()
    families: tuple[str | Absent, ...] = ()
    layers: tuple[tuple[LayersFound, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class _Found:
    """One counterpart; ``rows`` where it shares only some of the suspect's rows."""

    match: Match
    rows: RowPairs | None = None


def align(
    suspect: Checkpoint,
    others: Sequence[Checkpoint],
    *,
    by_content: bool = False,
    afar: bool = False,
    layers: Sequence[Sequence[LayersFound]] | None = None,
) -> Alignment:
    """Align by what each tensor holds in its family's layout, else by name and shape.

    ``by_content``: layers that were inserted, dropped, repeated or put in another order are found by their
    numbers, where these are not read over a network; with ``afar`` there too, where the numbers of layers
    differ. ``layers``: maps that were found already, by other model. Raises ``AlignmentError`` where
    nothing meets.
    """
    mine, theirs = name_checkpoint(suspect), [name_checkpoint(other) for other in others]
    if layers is None:
        layers = [map_layers(mine, other, afar) if by_content else () for other in theirs]
    work = _Work(mine, theirs, layers)
    for holder in mine.holders.values():
        work.add(holder)
    work.add_leftovers()
    if not work.groups:
        raise AlignmentError(
            "no tensor of the suspect meets one of the others by name and shape",
            where=suspect.locator,
            hint=_hint(mine),
        )
    unknown = Absent("no family knows its names: they and shapes alone were used")
    families = tuple(unknown if n.family is None else n.family.title for n in (mine, *theirs))
    return Alignment(
        tuple(work.groups),
        tuple(work.unmatched),
        tuple(work.presented),
        families,
        tuple(map(tuple, layers)),
    )


def _hint(mine: Naming) -> str:
    if any(".lora_A." in name for name in mine.holders):
        return "it holds an adapter's factors and no weights: name it BASE+ADAPTER"
    return "are these models of one architecture?"


class _Work:
    """The lists that ``align`` fills, tensor by tensor of the suspect."""

    def __init__(
        self, mine: Naming, theirs: Sequence[Naming], layers: Sequence[Sequence[LayersFound]]
    ) -> None:
        self.mine, self.theirs = mine, theirs
        self._layers = [{f.stack: f for f in found} for found in layers]
        self.groups: list[AlignedTensor] = []
        self.unmatched: list[Unmatched] = []
        self.presented: list[Presented] = []
        self._used: list[set[str]] = [set() for _ in theirs]
        self._turned = [wants_turning(mine, other) for other in theirs]
        self._vocabularies = Vocabularies(mine.checkpoint, [n.checkpoint for n in theirs])

    def add(self, own: Holder) -> None:
        """One tensor of the suspect against every other model."""
        found = [self._find(own, k) for k in range(len(self.theirs))]
        suspect, others = self._common_rows(own, found)
        name = own.ref.name
        for k, (entry, ref) in enumerate(zip(found, others, strict=True)):
            if isinstance(entry, _Found) and isinstance(ref, TensorRef):
                self._used[k].update(entry.match.sources)
                self._present(k, name, entry)
            elif isinstance(ref, Absent):
                self.unmatched.append(Unmatched(k + 1, name, ref.reason))
        if any(isinstance(ref, TensorRef) for ref in others):
            self.groups.append(AlignedTensor(name, role_of(name), suspect, tuple(others), own.turned))
        else:
            self.unmatched.append(Unmatched(0, name, unmatched_reason(own)))

    def _find(self, own: Holder, k: int) -> _Found | Absent:
        layer = self._layer(own, k)
        match = layer if isinstance(layer, Absent) else counterpart(own, self.mine, self.theirs[k], layer)
        if isinstance(match, Absent):
            return match
        rows = self._vocabularies.rows(own, match.ref, k)
        if rows is not None:
            return _Found(match, rows)
        fitted = fit_shape(own, match, self._turned[k])
        return fitted if isinstance(fitted, Absent) else _Found(fitted)

    def _layer(self, own: Holder, k: int) -> int | Absent | None:
        """The other model's number for the suspect's layer."""
        layer, found = own.held.layer, self._layers[k].get(own.held.stack)
        return layer if found is None or layer is None else found.layers[layer]

    def _common_rows(
        self, own: Holder, found: Sequence[_Found | Absent]
    ) -> tuple[TensorRef, list[TensorRef | Absent]]:
        """The suspect's tensor and the others', cut to the rows that all of them have where some differ."""
        stored = self.mine.checkpoint.tensors[own.ref.name]
        refs = [f.match.ref if isinstance(f, _Found) else f for f in found]
        if not any(isinstance(f, _Found) and f.rows is not None for f in found):
            return stored, refs
        pairs = [f.rows if isinstance(f, _Found) else None for f in found]
        suspect, cut, missing = self._vocabularies.cut(stored, refs, pairs)
        self.unmatched += [Unmatched(index, own.ref.name, reason) for index, reason in missing]
        return suspect, cut

    def _present(self, k: int, name: str, entry: _Found) -> None:
        how = [entry.match.how] if entry.match.how else []
        if entry.rows is not None:
            how.append(entry.rows.how)
        if how:
            self.presented.append(Presented(k + 1, name, "; ".join(how)))

    def add_leftovers(self) -> None:
        """What the others have and the suspect has not."""
        told = {(u.checkpoint_index, u.tensor) for u in self.unmatched}
        for k, naming in enumerate(self.theirs):
            unused = (n for n in naming.holders if n not in self._used[k] and (k + 1, n) not in told)
            rest = [naming.holders[n] for n in unused]
            for holder in rest:
                found = self._layers[k].get(holder.held.stack)
                dropped = found is not None and holder.held.layer in found.dropped
                reason = DROPPED if dropped else leftover_reason(holder, naming)
                self.unmatched.append(Unmatched(k + 1, holder.ref.name, reason))
