"""The same numbers in another model's layout: found by their slots, presented in the suspect's own layout.

Nothing is computed: a counterpart is a tensor as stored, turned, or put together from parts of others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from parentage.architectures.families.family import Slot
from parentage.architectures.naming import HEAD, Holder, Naming
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.tensors import Piece, Shifted, TensorRef

__all__ = ["Match", "counterpart", "turn", "unreadable"]

# A matrix that is put together from more parts than this is refused: each takes some 150 bytes.
MOST_PIECES = 2**16


@dataclass(frozen=True, slots=True)
class Match:
    """A tensor of another model as the suspect's layout has it.

    ``sources``: the stored tensors that it is made of; ``how``: in words, empty where it is one as stored.
    """

    ref: TensorRef
    sources: tuple[str, ...]
    how: str = ""


@dataclass(frozen=True, slots=True)
class _Span:
    """``count`` elements of a holder's matrix from ``start`` on."""

    holder: Holder
    start: int
    count: int

    @property
    def whole(self) -> bool:
        return self.start == 0 and self.count == self.holder.ref.elements


def counterpart(own: Holder, mine: Naming, theirs: Naming, layer: int | None) -> Match | Absent:
    """What the other model has where the suspect has ``own``; ``layer`` is its number for that layer.

    The shapes may still differ; the caller compares them.
    """
    found = _direct(own, theirs, layer)
    if isinstance(found, Absent):
        return found
    if found is not None:
        return _as_own(own, found, mine, theirs)
    spans = list(_spans(own, mine, theirs, layer))
    missing = next((s for s in spans if isinstance(s, Absent)), None)
    if missing is not None:
        return missing
    return _joined(own, [s for s in spans if not isinstance(s, Absent)])


def _direct(own: Holder, theirs: Naming, layer: int | None) -> Holder | Absent | None:
    """The other's tensor that holds the same as ``own``, by name where several do."""
    held = own.held
    if layer == held.layer:
        named = theirs.holders.get(own.ref.name)
        if named is not None and (named.held == held or not held.known):
            return named
    slot = replace(held.slot(held.part.roles[0]), layer=layer)
    found = [h for h in theirs.holding(slot) if _alike(own, h)]
    if len(found) > 1:
        return Absent(f"{len(found)} of its tensors could be this one")
    if found:
        return found[0]
    if slot.role == HEAD and slot.leaf == "weight" and not theirs.holding(slot):
        return theirs.embedding()
    return None


def _alike(own: Holder, other: Holder) -> bool:
    mine, found = own.held, other.held
    return (mine.part.roles, mine.part.experts, mine.expert) == (
        found.part.roles,
        found.part.experts,
        found.expert,
    )


def _as_own(own: Holder, other: Holder, mine: Naming, theirs: Naming) -> Match | Absent:
    """One tensor against one: turned, squeezed, or its heads' rows put back."""
    refused = {own.held.part.refused, other.held.part.refused} - {""}
    if own.held.part.refused != other.held.part.refused:
        return Absent(next(iter(sorted(refused))))
    how = []
    if other.held.part.roles != own.held.part.roles:
        how.append("its token embedding stands for its head")
    ref = other.ref
    if own.held.part.plus_one != other.held.part.plus_one:
        ref = _shift(ref, 1.0 if own.held.part.plus_one else -1.0)
        how.append("1 added, as the converter adds it" if own.held.part.plus_one else "1 taken off")
    if own.held.part.heads != other.held.part.heads:
        rows = _turned_heads(own, other, mine, theirs)
        if isinstance(rows, Absent):
            return rows
        ref = rows
        how.append("the rows of its heads put back in order")
    if own.turned != other.turned:
        how.append("turned")
    if own.turned:
        turned = turn(ref)
        if isinstance(turned, Absent):
            return turned
        ref = turned
    if _squeezed(ref.shape) == _squeezed(own_shape(own)) and ref.shape != own_shape(own):
        ref = replace(ref, shape=own_shape(own))
    return unreadable(ref) or Match(ref, (other.ref.name,), " and ".join(how))


def _shift(ref: TensorRef, by: float) -> TensorRef:
    shifted = Shifted(ref, by)
    return TensorRef(ref.name, DType.F32, ref.shape, "", 0, 0, shifted=shifted)


def own_shape(own: Holder) -> tuple[int, ...]:
    """The suspect's shape as its file has it."""
    return own.ref.shape[::-1] if own.turned else own.ref.shape


def _squeezed(shape: Sequence[int]) -> tuple[int, ...]:
    """A convolution of width one is a matrix."""
    kept = list(shape)
    while len(kept) > 2 and kept[-1] == 1:
        kept.pop()
    return tuple(kept)


def turn(ref: TensorRef) -> TensorRef | Absent:
    """The matrix the other way round: as stored where it was turned before."""
    if len(ref.shape) != 2:
        return ref
    if ref.transposed:
        return replace(ref, shape=ref.shape[::-1], transposed=False)
    if ref.pieces or ref.encoding or ref.scaled is not None:
        return Absent("it lies in blocks or parts that cannot be read turned")
    return replace(ref, shape=ref.shape[::-1], transposed=True)


def unreadable(ref: TensorRef) -> Absent | None:
    """Why a presented tensor cannot be read."""
    return (
        Absent("it lies in blocks that cannot be read turned") if ref.transposed and ref.encoding else None
    )


def _spans(own: Holder, mine: Naming, theirs: Naming, layer: int | None) -> Iterator[_Span | Absent]:
    """Where the other model has each of the slots that ``own`` holds, in its order."""
    held, part = own.held, own.held.part
    if part.refused or part.heads:
        yield Absent(part.refused or "its rows are in another order than those of the parts")
        return
    experts: Sequence[int | None] = range(own.ref.shape[0]) if part.experts and own.ref.shape else (None,)
    if len(experts) * len(part.roles) > MOST_PIECES:
        yield Absent(f"it would have to be put together from more than {MOST_PIECES:,} parts")
        return
    for expert in experts:
        for role in part.roles:
            slot = replace(held.slot(role, expert), layer=layer)
            yield _locate(slot, held.layer, mine, theirs)


def _locate(slot: Slot, own_layer: int | None, mine: Naming, theirs: Naming) -> _Span | Absent:
    holders = theirs.holding(slot)
    if not holders:
        return Absent("it has no such tensor")
    if len(holders) > 1:
        return Absent(f"{len(holders)} of its tensors could be this one")
    holder = holders[0]
    part, elements = holder.held.part, holder.ref.elements
    if part.refused or part.heads:
        return Absent(part.refused or "its rows are in another order than those of the parts")
    start, count = 0, elements
    if part.experts:
        each = holder.ref.shape[0] if holder.ref.shape else 0
        if slot.expert is None or slot.expert >= each:
            return Absent("it has fewer experts" if each else "it has no such tensor")
        count = elements // each
        start = slot.expert * count
    if len(part.roles) == 1:
        return _Span(holder, start, count)
    return _within(holder, slot, start, count, own_layer, mine)


def _within(
    holder: Holder, slot: Slot, start: int, count: int, own_layer: int | None, mine: Naming
) -> _Span | Absent:
    """One role of several that lie one after the other; the suspect's split ones say how large each is."""
    roles = holder.held.part.roles
    place = roles.index(slot.role)
    if holder.held.part.even:
        size, rest = divmod(count, len(roles))
        return (
            Absent("its parts are not equally large") if rest else _Span(holder, start + place * size, size)
        )
    sizes = [_size(replace(slot, role=role, layer=own_layer), mine) for role in roles]
    known = [size for size in sizes if size is not None]
    if len(known) < len(roles) or sum(known) != count:
        return Absent(f"it has this joined with others ({', '.join(roles)}) of other sizes")
    return _Span(holder, start + sum(known[:place]), known[place])


def _size(slot: Slot, mine: Naming) -> int | None:
    holders = [h for h in mine.holding(slot) if len(h.held.part.roles) == 1]
    return holders[0].ref.elements if len(holders) == 1 else None


def _joined(own: Holder, spans: Sequence[_Span]) -> Match | Absent:
    """The parts one after the other, in the suspect's layout."""
    first = spans[0].holder.ref
    refused = _unfit(own, spans)
    if refused is not None:
        return refused
    names = tuple(dict.fromkeys(s.holder.ref.name for s in spans))
    how = f"put together from {len(names)} tensors" if len(names) > 1 else "a part of a larger one"
    pieces = _turned_pieces(own, spans) if own.turned else tuple(_plain_pieces(spans))
    if isinstance(pieces, Absent):
        return pieces
    ref = TensorRef(names[0], first.dtype, own_shape(own), "", 0, 0, pieces=pieces)
    return Match(ref, names, how)


def _unfit(own: Holder, spans: Sequence[_Span]) -> Absent | None:
    """Why the parts do not make the suspect's tensor."""
    first, shape = spans[0].holder.ref, own.ref.shape
    if any(s.holder.ref.scaled is not None for s in spans):
        return Absent("its parts are quantised, each with scales of its own")
    if any(s.holder.ref.dtype is not first.dtype for s in spans):
        return Absent("its parts are stored in several number formats")
    if any(s.holder.ref.shape[-1:] != shape[-1:] and len(shape) > 1 for s in spans):
        return Absent(f"its parts have other widths than {shape[-1]}")
    total = sum(s.count for s in spans)
    if total != own.ref.elements:
        return Absent(
            f"its parts have {total:,} numbers together, the suspect's tensor {own.ref.elements:,}"
        )
    return next((found for s in spans if (found := unreadable(s.holder.ref))), None)


def _plain_pieces(spans: Sequence[_Span]) -> Iterator[Piece]:
    at = 0
    for span in spans:
        yield Piece(at, span.count, span.holder.ref, span.start)
        at += span.count


def _turned_pieces(own: Holder, spans: Sequence[_Span]) -> tuple[Piece, ...] | Absent:
    """Rows of a matrix stored [in, out], each joined from a row of every part."""
    rows = own.ref.shape[1]
    if rows * len(spans) > MOST_PIECES or not all(s.whole for s in spans):
        return Absent("it is stored the other way round, in too many parts")
    turned = [turn(s.holder.ref) for s in spans]
    pieces, at = [], 0
    for row in range(rows):
        for ref in turned:
            if isinstance(ref, Absent):
                return ref
            width = ref.shape[1]
            pieces.append(Piece(at, width, ref, row * width))
            at += width
    return tuple(pieces)


def _turned_heads(own: Holder, other: Holder, mine: Naming, theirs: Naming) -> TensorRef | Absent:
    """The other's rows in the suspect's order.

    llama.cpp stores a head's rows for rotation in pairs (0, n/2), (1, n/2 + 1) ... next to each other
    (``LlamaModel.permute`` of its converter); others store the two halves one after the other.
    """
    kind = own.held.part.heads or other.held.part.heads
    heads = mine.heads(kind) or theirs.heads(kind)
    rows = other.ref.shape[0] if other.ref.shape else 0
    if heads is None:
        return Absent("its heads' rows are in another order, and nothing says how many heads there are")
    scattered = other.ref.transposed or other.ref.scaled is not None
    if not other.ref.elements or rows % (2 * heads) or rows > MOST_PIECES or scattered:
        return Absent(f"its {rows:,} rows do not divide into {heads} heads")
    half = rows // heads // 2
    width = other.ref.elements // rows
    paired = bool(other.held.part.heads)
    order = [h * 2 * half + _source(k, half, paired) for h in range(heads) for k in range(2 * half)]
    pieces = tuple(Piece(at * width, width, other.ref, row * width) for at, row in enumerate(order))
    return TensorRef(other.ref.name, other.ref.dtype, other.ref.shape, "", 0, 0, pieces=pieces)


def _source(row: int, half: int, paired: bool) -> int:
    """The row of the source's head that is ``row`` of the wanted one."""
    if paired:
        return 2 * (row % half) + row // half
    return row // 2 + (row % 2) * half
