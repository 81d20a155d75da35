"""The verdict in one plain sentence."""

from __future__ import annotations

from collections.abc import Sequence

from parentage.records.absence import Absent
from parentage.records.report import PostTraining, VerdictParent
from parentage.verdicts.beside.layers import layer_places, straight
from parentage.verdicts.beside.orders import reordered_units
from parentage.verdicts.methods.low_rank import low_rank_words
from parentage.verdicts.readings import Readings
from parentage.verdicts.relations.between import beside_words
from parentage.verdicts.relations.leaning import distance_words, lean_words
from parentage.verdicts.relations.left_alone import left_alone_words
from parentage.verdicts.relations.neighbours import only_rows_tell, origin_radius
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["listing", "verdict_sentence"]

# Weights of tensors that lie farther apart than this are told as a range.
VARIES = 0.01


def listing(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def verdict_sentence(
    readings: Readings,
    weighing: Weighing,
    parents: Sequence[VerdictParent],
    post_training: PostTraining,
) -> str:
    """One sentence that a journalist can quote; the numbers stand beside it."""
    suspect = readings.name(0)
    names = [readings.name(i) for i in weighing.models]
    if weighing.status is Status.SUPPORTED:
        told = _supported(readings, weighing, parents, post_training, names)
        if told:
            return f"{suspect} {told}."
    if weighing.relation == "same-run-checkpoint":
        return f"{suspect} {weighing.sentence}."
    beside = f"{_nearest(readings)}{low_rank_words(readings) or left_alone_words(readings)}"
    beside += lean_words(readings) or beside_words(readings)
    return f"The evidence does not settle what {suspect} is made of{beside}."


def _supported(
    readings: Readings,
    weighing: Weighing,
    parents: Sequence[VerdictParent],
    post_training: PostTraining,
    names: Sequence[str],
) -> str:
    relation = weighing.relation
    if weighing.sentence:
        return f"{weighing.sentence}; {_after(post_training)}" if "merge" in relation else weighing.sentence
    told = {
        "copy": f"is a copy of {listing(names)}: every weight examined is equal"
        f"{_put_back(readings, weighing)}",
        "cast-copy": f"is {listing(names)} stored in another number format{_put_back(readings, weighing)}",
        "quantized-copy": f"is {listing(names)}, quantised: a quantiser gives its codes from those weights",
        "shared-ancestor": f"sits where {listing(names)} part: their common ancestor, a stage on the way "
        f"from one to the other, or next to such a model",
        "passthrough-merge": f"is put together from {_what(readings, weighing)} of {listing(names)}, each "
        f"taken over as it is{_foreign(readings)}",
        "independent": f"shows no weights in common with {listing(names)}",
    }
    if relation == "linear-merge":
        then = f", {weighing.afterwards}" if weighing.afterwards else ""
        return f"is a merge: {_shares(parents)}{then}; {_after(post_training)}"
    if relation == "fine-tune":
        return f"is a fine-tune of {listing(names)}{_size(readings, weighing)}"
    return told.get(relation, "")


def _what(readings: Readings, weighing: Weighing) -> str:
    """Layers where they stand in another order than in the models."""
    return "tensors" if all(straight(readings, i) for i in weighing.models) else "layers"


def _put_back(readings: Readings, weighing: Weighing) -> str:
    """What stands in another order than in the model, and was undone."""
    units = [u for i in weighing.models for u in reordered_units(readings, i)]
    return f", once its reordered {listing(units)} are put back" if units else ""


def _foreign(readings: Readings) -> str:
    """The suspect's layers that no model given has."""
    places = layer_places(readings)
    if isinstance(places, Absent):
        return ""
    known = {p for p in places if any(not isinstance(o.number, Absent) for o in p.origins)}
    foreign = [str(p.layer) for p in places if p not in known]
    return f"; what its layers {listing(foreign)} are, no model given tells" if foreign else ""


def _shares(parents: Sequence[VerdictParent]) -> str:
    parts = []
    for parent in parents:
        if isinstance(parent.weight, Absent):
            parts.append(f"part {parent.name}")
        elif parent.weight.level == 1.0 and parent.weight.high - parent.weight.low > VARIES:
            parts.append(f"{parent.weight.low:.4g} to {parent.weight.high:.4g} of {parent.name}")
        else:
            parts.append(f"{parent.weight.estimate:.4g} of {parent.name}")
    return listing(parts)


def _after(post_training: PostTraining) -> str:
    if post_training.status == "not-detected":
        return "no sign of any training after the merge"
    if post_training.status == "detected":
        return "its weights were changed after the merge was stored"
    return "whether anything happened after the merge is undetermined"


def _size(readings: Readings, weighing: Weighing) -> str:
    """How far, and how near to the parent named another could lie that would fit as well."""
    distance = readings.distance(weighing.models[0])
    if distance is None:
        return ""
    if any(q.exact_rows and q.model == weighing.models[0] for q in readings.evidence.quiet_rows):
        same = (
            " (or of a model with the same embedding rows)"
            if only_rows_tell(readings, weighing.models[0])
            else ""
        )
        return f"{same}, {distance_words(distance)} away from it"
    radius = origin_radius(readings, weighing.models[0])
    near = _within(readings, weighing.models[0], radius)
    return f" (or of a model within {distance_words(radius)} of it{near}), {distance_words(distance)} away"


def _within(readings: Readings, parent: int, radius: float) -> str:
    """Models given that lie so near to the one that is named: it may be any of them."""
    related = (o for o in readings.related if o != parent)
    near = [
        readings.name(o) for o in related if (d := readings.apart(parent, o)) is not None and d <= radius
    ]
    if not near:
        return ""
    return f", where {listing(near)} {'lies' if len(near) == 1 else 'lie'}"


def _nearest(readings: Readings) -> str:
    if not readings.related:
        return ""
    nearest = readings.related[0]
    distance = readings.distance(nearest)
    if distance is None:
        return ""
    return f"; the nearest model given is {readings.name(nearest)}, {distance_words(distance)} away"
