"""A merge method whose own rule gives the suspect, bit for bit, where copies and blends do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from parentage.records.absence import Absent
from parentage.records.evidence import ModelRole
from parentage.records.recognition import MethodReplay, MethodTensor, Recognition
from parentage.verdicts.beside.tensors import TensorReading
from parentage.verdicts.methods.courses_told import courses_words
from parentage.verdicts.readings import ELIGIBLE_INFORMATIVE, Readings
from parentage.verdicts.sentences import listing
from parentage.verdicts.weighing import Status, Weighing

__all__ = [
    "CONTROL_SHARE",
    "METHOD_WORDS",
    "copied_from",
    "explained",
    "method_replay",
    "method_words",
    "weigh_replayed",
]

# A control that replays in more than this is made by the same recipe, or the recipe says nothing.
CONTROL_SHARE: Final = 0.9
# The blend of changes from a base that is task arithmetic in 16 bits.
TASK_16: Final = "task-16"
# Methods that divide weights by their sum unless told otherwise.
DIVIDING: Final = ("linear", "ties", "della", "nuslerp", "multislerp")
METHOD_WORDS: Final = {
    "slerp": "spherical interpolation (slerp)",
    "nuslerp": "spherical interpolation of changes (nuslerp)",
    "multislerp": "a spherical mean (multislerp)",
    "karcher": "a Karcher mean",
    "task_arithmetic": "task arithmetic",
    "ties": "TIES",
    "dare_linear": "DARE (linear)",
    "dare_ties": "DARE (TIES)",
    "della": "DELLA",
    "della_linear": "DELLA (linear)",
    "breadcrumbs": "breadcrumbs",
    "breadcrumbs_ties": "breadcrumbs (TIES)",
    "model_stock": "model stock",
    "sce": "SCE",
    "arcee_fusion": "Arcee fusion",
    "nearswap": "NearSwap",
    "passthrough": "scaled passing-through",
    "linear": "a weighted sum",
    "add_difference": "add-difference",
    "weighted_sum": "a weighted sum (image models)",
    "lora": "an adapter put into its base",
    "abliteration": "abliteration",
    "upcycling": "upcycling",
}


def method_replay(readings: Readings) -> MethodReplay | None:
    """The suspect's best replay of a method."""
    found = readings.evidence.recognition
    if not isinstance(found, Recognition):
        return None
    return next((r for r in found.replays if r.subject == 0), None)


def method_words(method: str) -> str:
    """A method as a sentence names it."""
    return METHOD_WORDS.get(method, method)


def explained(tensor: MethodTensor, exact: float) -> bool:
    """Every element, or all but those last bits that the tool is known to make otherwise."""
    if tensor.equal == tensor.elements:
        return True
    off = tensor.informative - tensor.matches
    common = tensor.equal - tensor.matches == tensor.elements - tensor.informative
    share = tensor.matches / tensor.informative if tensor.informative else 0.0
    return common and off == tensor.adjacent and exact <= share < 1


def copied_from(tensor: MethodTensor) -> int | None:
    """The operand that a tensor off the recipe is a whole copy of."""
    whole = [k for k, n in enumerate(tensor.copies) if n == tensor.informative > 0]
    same = tensor.equal - tensor.matches == tensor.elements - tensor.informative
    return whole[0] if whole and same else None


def weigh_replayed(readings: Readings, tensors: Sequence[TensorReading]) -> Weighing | None:
    """None where no method was replayed; supported only where nothing of the suspect is left over."""
    replay = method_replay(readings)
    if replay is None:
        return None
    if _only_a_blend(readings, replay):
        return None
    against = _objection(readings, replay)
    if against and replay.relation == "linear-merge":
        # Of blends with something left over the likelihoods speak, which say more.
        return None
    if against:
        return Weighing(replay.relation, Status.UNDETERMINED, against=against)
    return Weighing(
        replay.relation,
        Status.SUPPORTED,
        sentence=_sentence(readings, replay),
        models=replay.operands,
        excluded=_excluded(readings, replay),
        live=(*_same_blend(readings, replay), *_alike(replay)),
        limits=_limits(readings, replay),
    )


def _only_a_blend(readings: Readings, replay: MethodReplay) -> bool:
    """Are these two models' blends with weights by tensor? Changes of one from the other, added with a
    weight of its own in each tensor, are no more than that: the method says what the weights say."""
    linear = readings.replay
    if replay.relation != "task-arithmetic-merge" or len(replay.operands) != 2 or linear is None:
        return False
    told = [t for t in replay.tensors if t.informative]
    blends = len({t.weights for t in linear.tensors if t.informative})
    own = len({repr(t.own) for t in told})
    return own > 1 and own >= blends and linear.informative == linear.informative_matches > 0


def _one_weight_of_two(replay: MethodReplay) -> bool:
    """Base + w (A - base), w the same everywhere: in float32 a weight that nobody typed is found so."""
    two = replay.method == "task_arithmetic" and len(replay.operands) == 2 and not replay.courses
    return two and all(isinstance(t.own, Absent) for t in replay.tensors)


def _objection(readings: Readings, replay: MethodReplay) -> str:
    words = method_words(replay.method)
    told = [t for t in replay.tensors if t.informative]
    share = replay.matches / replay.informative if replay.informative else 0.0
    off = [t for t in told if not explained(t, replay.exact)]
    foreign = [t for t in off if copied_from(t) is None]
    if replay.informative < ELIGIBLE_INFORMATIVE or len(off) == len(told):
        return f"the nearest recipe of {words} gives {share:.4f} of the elements, and all are needed"
    if foreign:
        return (
            f"{words} gives {len(told) - len(off)} of {len(told)} tensors bit for bit, and "
            f"{len(foreign)} of the others ({foreign[0].name} …) are neither that nor a copy"
        )
    for k, operand in enumerate(replay.operands):
        if all(t.copies[k] == t.informative for t in told):
            return f"a copy of {readings.name(operand)} is the same"
    return _control_objection(readings)


def _control_objection(readings: Readings) -> str:
    found = readings.evidence.recognition
    assert isinstance(found, Recognition)
    for replay in found.replays:
        real = replay.subject and readings.evidence.models[replay.subject].role is ModelRole.CONTROL
        if real and replay.matches > CONTROL_SHARE * replay.informative:
            return f"the control {readings.name(replay.subject)} is given by the same recipe"
    return ""


def _sentence(readings: Readings, replay: MethodReplay) -> str:
    names = [readings.name(k) for k in replay.operands]
    told = ", ".join(n for n in (replay.label, courses_words(replay, readings.name)) if n)
    numbers = f" ({told})" if told else ""
    own = 0 if replay.courses else sum(not isinstance(t.own, Absent) for t in replay.tensors)
    varied = f", with numbers of their own in {own} tensors" if own else ""
    return f"is a merge of {listing(names)} by {method_words(replay.method)}{numbers}{varied}"


def _excluded(readings: Readings, replay: MethodReplay) -> tuple[tuple[str, str], ...]:
    why = (
        f"the method reproduces {replay.matches:,} of {replay.informative:,} elements where its operands "
        f"differ, in every bit"
    )
    if replay.matches < replay.informative and replay.adjacent:
        why += f", and {replay.adjacent:,} but for last bits"
    linear = readings.replay
    blend = "no blend was replayed"
    if linear is not None and linear.informative:
        share = linear.informative_matches / linear.informative
        own = len({t.weights for t in linear.tensors if t.informative})
        blend = f"the best blend at one set of weights for the model gives {share:.4f} of them"
        if linear.arithmetic == TASK_16:
            blend += f", as changes from a base in 16 bits ({TASK_16}): this is what the method does"
        if share == 1.0 and own > 1:
            blend = f"as blends the tensors would need {own} different sets of weights; {why}"
    found = readings.evidence.recognition
    others = found.rivals if isinstance(found, Recognition) else ()
    seen = {replay.relation, "linear-merge"} | {a.relation for a in replay.alike}
    rest = []
    for rival in others:
        if rival.relation not in seen:
            seen.add(rival.relation)
            share = rival.matches / rival.informative if rival.informative else 0.0
            rest.append((rival.relation, f"its nearest recipe gives {share:.4f} of the probe's elements"))
    copies = [max(sum(t.copies[k] for t in replay.tensors), 0) for k in range(len(replay.operands))]
    best = max(copies, default=0)
    alone = f"the nearest operand alone gives {best:,} of {replay.informative:,} elements; {why}"
    same = replay.relation == "linear-merge" or _same_blend(readings, replay)
    first = () if same else (("linear-merge", blend),)
    return (
        *first,
        ("copy", alone),
        ("fine-tune", why),
        ("same-run-checkpoint", why),
        ("independent", why),
        *rest,
    )


def _same_blend(readings: Readings, replay: MethodReplay) -> tuple[tuple[str, str], ...]:
    """Task arithmetic with one model on its base is a blend of the two, written otherwise."""
    linear = readings.replay
    if _one_weight_of_two(replay):
        why = "a blend of these two at one weight, computed from their difference, is the same merge"
        return (("linear-merge", why),)
    if linear is None or linear.arithmetic != TASK_16 or replay.method != "task_arithmetic":
        return ()
    one = len({t.weights for t in linear.tensors if t.informative}) == 1
    if not one or linear.informative_matches < linear.informative or sum(linear.weights) != 1:
        return ()
    why = f"{linear.label} of the same models, computed as changes from one of them in 16 bits, is this too"
    return (("linear-merge", why),)


def _alike(replay: MethodReplay) -> tuple[tuple[str, str], ...]:
    told = dict[str, str]()
    for rival in replay.alike:
        if rival.relation != replay.relation:
            told.setdefault(
                rival.relation, f"{rival.method} ({rival.label}) gives the probe's every bit as well"
            )
    return tuple(told.items())


def _same_otherwise(replay: MethodReplay) -> list[str]:
    """What is the same merge by definition, in other words or numbers."""
    shared = replay.numbers.shared
    divided = shared.get("normalize", shared.get("normalize_weights", replay.method in DIVIDING))
    weights = [float(row["weight"]) for row in replay.numbers.each if "weight" in row]
    found = []
    if divided and len(weights) > 1 and sum(weights):
        shares = " : ".join(f"{w / sum(weights):.4g}" for w in weights)
        found.append(f"The weights are divided by their sum: only their proportions ({shares}) are told.")
    if replay.method == "ties":
        found.append("Breadcrumbs with elected signs and without gamma are the same as TIES.")
    return found


def _limits(readings: Readings, replay: MethodReplay) -> tuple[str, ...]:
    limits = [
        f"{method_words(rival.method).capitalize()} ({rival.label or 'no parameters'}, {rival.arithmetic}) "
        f"cannot be told apart from it here."
        for rival in replay.alike
        if rival.method != replay.method or rival.label != replay.label
    ]
    limits += _same_otherwise(replay)
    if replay.left and readings.evidence.used.get("by_range"):
        limits.append(
            f"Over a network the method was replayed on {len(replay.tensors):,} tensors whole, and not on "
            f"{replay.left:,} others; --budget raises how many are read."
        )
    elif replay.left:
        limits.append(f"The method was not replayed on {replay.left} large tensors; --full replays all.")
    copied = [t.name for t in replay.tensors if not explained(t, replay.exact)]
    if copied:
        limits.append(f"{len(copied)} tensors ({copied[0]} …) are copies of one model, not merged.")
    return tuple(limits)
