"""The pass: recognisers propose, the probe's tensors choose, and the winner is replayed on all.

A recipe competes on a few whole tensors, small ones first; one that fails on the first is not tried on the
second. The best is then replayed on every tensor within a limit of elements (on all of them in a full
audit), and on the controls' probe under the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from parentage.engines.threads import map_ordered
from parentage.errors import ReadError
from parentage.evidence.recognition.candidate import Candidate, Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.parts.searching import Found, by_parts
from parentage.evidence.recognition.ranges import ranges_of
from parentage.evidence.recognition.registry import recognisers
from parentage.evidence.recognition.replaying import (
    Counted,
    as_record,
    control_of,
    drawn_before,
    replay_record,
    replay_tensor,
)
from parentage.evidence.recognition.settling import better_alike
from parentage.numerics.feasible.candidates import description_length
from parentage.records.absence import Absent
from parentage.records.recognition import (
    Finding,
    MethodReplay,
    MethodTensor,
    Numbers,
    Recognition,
    RivalReplay,
)

__all__ = ["ELEMENTS", "Scored", "recognise"]

# Elements of the suspect on which the winner is replayed where the audit is not a full one: the real
# family's 22.7 million take 3 s of one core by slerp (three passes).
ELEMENTS: Final = 2**25
# A recipe that gives less of a probe tensor than this is none: a blend with weights off by .1 gives .8.
HOPELESS: Final = 0.5
# Rivals of other kinds that are recorded.
MOST_RIVALS: Final = 8
MOST_ALIKE: Final = 8
# Recipes that one recogniser may have tried.
MOST_TRIED: Final = 400
# Characters by which numbers are longer than any that are typed: .404255186436067 for .38 : .56.
UNTYPED: Final = 50.0
# Elements off the whole-model recipe for which a tensor's own numbers are looked for.
OWN_BELOW: Final = 1.0


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate and what it gave on the probe."""

    candidate: Candidate
    recogniser: Recogniser
    informative: int
    matches: int
    adjacent: int

    @property
    def share(self) -> float:
        """Of the probe's informative elements."""
        return self.matches / self.informative if self.informative else 0.0

    @property
    def replays(self) -> bool:
        """Every bit, or all but the last bits that are known not to be reached."""
        off = self.informative - self.matches
        return self.informative > 0 and self.share >= self.candidate.exact and off == self.adjacent


def recognise(context: Context, *, full: bool, among: Sequence[Recogniser] | None = None) -> Recognition:
    """The suspect's best recipe, the controls under it, its rivals, and findings beside replays.

    ``among``: the recognisers that are asked; None: all.
    """
    asked = recognisers() if among is None else among
    tried, scored = 0, list[Scored]()
    # Once one replays, later recognisers say only whether they do so as well.
    for number, one in enumerate(asked):
        context.progress("merge methods", number, len(asked))
        exact = False
        for candidate in _bounded(one.propose(context)):
            tried += 1
            score = _score(candidate, one, context, max((s.share for s in scored), default=0.0))
            if score is not None:
                scored.append(score)
                exact = exact or (score.replays and score.share == 1.0)
        if exact:
            context.found.append(one.id)
    best = _best(scored)
    # Where a method gives every bit, nothing is left that a shape of the change would have to explain.
    settled = best is not None and best.replays
    found = () if settled else tuple(f for r in asked for f in r.find(context))
    parted = None if settled or context.whole is not None else _by_parts(context, full)
    if parted is not None:
        return _parted(tried, context, parted, found)
    if best is None or (best.share < HOPELESS and not best.replays):
        return Recognition(tried, context.probes, (), (), found)
    own = _replay_all(best, context, full)
    alike = [s for s in scored if s is not best and s.replays and best.replays]
    better = better_alike(own, alike, context)
    if better is not None:
        # Every tensor has told the two apart: what the first left over is none of the second's doing.
        alike = [s for s in alike if s is not better]
        best, own = better, _replay_all(better, context, full)
    if settled and any(_not_the_recipe(t) for t in own.tensors):
        parted = _by_parts(context, full)
        if parted is not None:
            return _parted(tried, context, parted, found)
    rest = _others(scored, best)
    own = replace(
        own,
        alike=tuple(_rival(s) for s in alike[:MOST_ALIKE]),
        ranges=ranges_of(best.candidate, context) if best.replays else (),
    )
    controls = tuple(_control(best.candidate, own, k, context) for k in context.controls)
    return Recognition(tried, context.probes, (own, *controls), rest, found)


def _by_parts(context: Context, full: bool) -> Found | None:
    names, left = _within(context, full)
    return by_parts(replace(context, found=[]), names, left)


def _not_the_recipe(tensor: MethodTensor) -> bool:
    """Was it made with other numbers, or by another rule?"""
    return tensor.matches < tensor.informative or not isinstance(tensor.own, Absent)


def _parted(tried: int, context: Context, parted: Found, found: tuple[Finding, ...]) -> Recognition:
    """One rule with numbers that run over the model is the recipe; of blends alone the likelihoods say
    more, and parts say only how they run."""
    one = parted.whole
    blend = bool(one) and one[0].relation == "linear-merge"
    parts = parted.parts if blend or not one or len(parted.parts) > len(one) else ()
    return Recognition(tried, context.probes, () if blend else one, (), found, parts)


def _bounded(candidates: Iterable[Candidate]) -> Iterable[Candidate]:
    for _, candidate in zip(range(MOST_TRIED), candidates, strict=False):
        yield candidate


def _score(candidate: Candidate, one: Recogniser, context: Context, best: float) -> Scored | None:
    """None where the first tensors already say that it is not this."""
    drawn = drawn_before(candidate, context)
    informative = matches = adjacent = 0
    for name in context.probes:
        counted = replay_tensor(
            candidate, name, context, enough=min(best, HOPELESS), drawn=drawn.get(name, 0)
        )
        if counted is None:
            continue
        informative += counted.informative
        matches += counted.matches
        adjacent += counted.adjacent
        given = matches + (adjacent if candidate.exact < 1.0 else 0)
        if informative and given / informative < max(HOPELESS, min(best, 0.9)):
            break
    return Scored(candidate, one, informative, matches, adjacent) if informative else None


def _best(scored: Sequence[Scored]) -> Scored | None:
    """Of those that replay, the first method's with the shortest numbers, unless nobody types them and
    another's are typed; else what gives the most. Every bit goes before all but last bits."""
    near = [s for s in scored if s.replays]
    exact = [s for s in near if s.share == 1.0] or near
    if not exact:
        return max(scored, key=lambda s: s.share, default=None)
    first = exact[0].recogniser.id
    best = min((s for s in exact if s.recogniser.id == first), key=_written)
    other = min(exact, key=_written)
    return other if _written(best) > _written(other) + UNTYPED else best


def _written(scored: Scored) -> float:
    return _length(scored.candidate.numbers)


def _length(numbers: Numbers) -> float:
    """Characters that the numbers take to be written down."""
    rows = (*numbers.each, numbers.shared)
    typed = [v for row in rows for v in row.values() if isinstance(v, float)]
    return sum(description_length(v) for v in typed)


def _others(scored: Sequence[Scored], best: Scored) -> tuple[RivalReplay, ...]:
    """The best of every other method, best first."""
    tops: dict[str, Scored] = {}
    for one in scored:
        method = one.candidate.method
        if method == best.candidate.method or (one.replays and best.replays):
            continue
        if method not in tops or one.share > tops[method].share:
            tops[method] = one
    ordered = sorted(tops.values(), key=lambda s: (-s.share, s.candidate.method))
    return tuple(_rival(s) for s in ordered[:MOST_RIVALS])


def _rival(scored: Scored) -> RivalReplay:
    c = scored.candidate
    return RivalReplay(
        method=c.method,
        relation=c.rule.relation,
        arithmetic=c.arithmetic,
        dtype=c.dtype.value,
        operands=c.operands,
        label=c.label,
        informative=scored.informative,
        matches=scored.matches,
    )


def _replay_all(best: Scored, context: Context, full: bool) -> MethodReplay:
    candidate = best.candidate
    drawn = drawn_before(candidate, context)
    if context.whole is not None:
        context.whole.rest((*context.sources, *context.controls))
    names, left = _within(context, full)

    def work(name: str) -> MethodTensor | None:
        if context.whole is not None:
            context.whole.announce(name, candidate.operands)
        try:
            return _tensor(candidate, best.recogniser, name, context, drawn.get(name, 0))
        except ReadError as error:
            if context.whole is None or error.code != "budget-spent":
                raise
            context.whole.drop(name)
            return None

    tensors = []
    for done, item in enumerate(map_ordered(work, names, workers=context.workers), 1):
        context.progress("replaying the method", done, len(names))
        if item is not None:
            tensors.append(item)
    if context.whole is not None:
        left = len(context.groups) - len(context.whole.names)
    stored = {context.groups[t.name].suspect.dtype.value for t in tensors}
    return replay_record(candidate, tuple(tensors), " ".join(sorted(stored)), left)


def _within(context: Context, full: bool) -> tuple[list[str], int]:
    """The probe, then the other tensors from the smallest up, as far as the limit reaches; and how many
    are left."""
    rest = sorted(
        (name for name in context.groups if name not in context.probes),
        key=lambda name: (context.groups[name].suspect.elements, name),
    )
    if context.whole is not None:
        chosen = set(context.whole.names)
        return [name for name in context.groups if name in chosen], len(context.groups) - len(chosen)
    names, elements = list(context.probes), 0
    for name in rest:
        elements += context.groups[name].suspect.elements
        if full or elements <= ELEMENTS:
            names.append(name)
    chosen = set(names)
    return [name for name in context.groups if name in chosen], len(context.groups) - len(chosen)


def _tensor(
    candidate: Candidate, one: Recogniser, name: str, context: Context, drawn: int
) -> MethodTensor | None:
    counted = replay_tensor(candidate, name, context, drawn=drawn)
    if counted is None:
        return None
    known = candidate.own.get(name)
    if counted.share >= OWN_BELOW:
        return as_record(name, counted, known)
    numbers, better = _own(candidate, one, name, context, counted, drawn)
    return as_record(name, better, known if numbers is None else numbers)


def _own(
    candidate: Candidate, one: Recogniser, name: str, context: Context, counted: Counted, drawn: int
) -> tuple[Numbers | None, Counted]:
    """Numbers of the tensor's own that give more of it, where there are any."""
    best: Numbers | None = None
    for numbers in one.own(context, candidate, name):
        found = replay_tensor(
            candidate.giving(name, numbers), name, context, enough=counted.share, drawn=drawn
        )
        if found is not None and found.share > counted.share:
            best, counted = numbers, found
        if counted.share == 1.0:
            break
    return best, counted


def _control(candidate: Candidate, own: MethodReplay, control: int, context: Context) -> MethodReplay:
    """The same recipe on a control's probe."""
    found = [
        c for name in context.probes if (c := replay_tensor(candidate, name, context, subject=control))
    ]
    return control_of(own, control, found)
