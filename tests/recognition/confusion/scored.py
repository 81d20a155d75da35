"""What an audit told of a recipe, and which of the recipe's numbers it holds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parentage import api
from parentage.methods.registry import method
from parentage.records.absence import Absent
from parentage.records.recognition import Finding, MethodReplay, Recognition

__all__ = ["Stated", "facts", "held", "of_replay", "stated", "told"]

Recipe = Mapping[str, Any]
# Sums of weights are divided by: what is left to compare are proportions, in the last digits of a search.
PROPORTION = 2e-3
# As the sentence tells it: a number, and where evidence holds one an interval.
STRENGTH = r"\(strength ([0-9.e-]+)(?:, ([0-9.e-]+) to ([0-9.e-]+) at 95 %)?\)"
EACH = ("density", "gamma", "epsilon")
# Weights of these are proportions always.
PROPORTIONS = ("linear", "nuslerp", "multislerp")
# Mergers of image models, whose one number is a share.
SUMS = ("weighted_sum", "add_difference")
SHARED = ("lambda", "alpha", "select_topk", "t")


@dataclass(frozen=True)
class Stated:
    """A number of the recipe (None: it has none there) and what an answer states for it, with its interval;
    ``slack``: by how much the true number may lie outside and still be held."""

    name: str
    true: float | None
    value: float
    low: float
    high: float
    slack: float = 0.0

    @property
    def held(self) -> bool:
        """Does the interval hold the recipe's number?"""
        return self.true is not None and self.low - self.slack <= self.true <= self.high + self.slack


def told(result: api.AuditResult) -> tuple[str | None, str]:
    """The method that the verdict rests on (None: it names none) and by what: replay, pattern, relation."""
    verdict, replay = result.report.verdict, result.report.replay
    if verdict.status != "supported":
        return None, "nothing"
    found = _replayed(result)
    named = found is not None and found.relation == verdict.relation
    if found is not None and named and not isinstance(replay, Absent) and replay.method == found.method:
        return found.method, "replay"
    if verdict.relation == "linear-merge":
        exact = not isinstance(replay, Absent) and replay.match == 1
        return "linear", "replay" if exact else "likelihood"
    pattern = verdict.relation in ("dare-merge", "della-merge")
    return None, "pattern" if pattern else "relation"


def held(result: api.AuditResult, recipe: Recipe) -> dict[str, tuple[int, int]]:
    """By parameter: how many of the recipe's numbers the answer holds, of how many that it states."""
    counts: dict[str, list[int]] = {}
    for name, right in (*_low_rank(result, recipe), *_taken(result, recipe), *_numbers(result, recipe)):
        row = counts.setdefault(name, [0, 0])
        row[0] += right
        row[1] += 1
    return {name: (right, of) for name, (right, of) in sorted(counts.items())}


def _replayed(result: api.AuditResult) -> MethodReplay | None:
    found = result.evidence.recognition
    if not isinstance(found, Recognition):
        return None
    return next((r for r in found.replays if r.subject == 0), None)


def _findings(result: api.AuditResult, kind: str) -> Iterator[Finding]:
    found = result.evidence.recognition
    if isinstance(found, Recognition):
        yield from (f for f in found.findings if f.kind == kind)


def _letter(recipe: Recipe, model: int) -> str:
    """O, A or B: models are numbered in the order in which they were given, from 1."""
    return list(recipe["given"])[model - 1]


def _named(result: api.AuditResult, recipe: Recipe, name: str) -> str:
    return next(_letter(recipe, k) for k, m in enumerate(result.evidence.models) if k and m.name == name)


def _numbers(result: api.AuditResult, recipe: Recipe) -> Iterator[tuple[str, bool]]:
    yield from ((one.name, one.held) for one in stated(result, recipe))


def stated(result: api.AuditResult, recipe: Recipe) -> Iterator[Stated]:
    """Each number that the answer states beside the recipe's."""
    named, by = told(result)
    found = _replayed(result)
    if by == "replay" and named == recipe["method"] and found is not None:
        yield from of_replay(found, recipe)
    elif by in ("replay", "likelihood") and named == recipe["method"] == "linear":
        yield from _of_blend(result, recipe)
    elif recipe["method"] in SUMS and result.report.verdict.status == "supported":
        yield from _of_sum(result, recipe, found)
    elif by == "pattern":
        yield from _of_pattern(result, recipe)


def _rows(recipe: Recipe) -> dict[str, Mapping[str, Any]]:
    return dict(zip(recipe["models"], recipe["each"] or [{}] * len(recipe["models"]), strict=True))


def of_replay(found: MethodReplay, recipe: Recipe) -> Iterator[Stated]:
    """Each number that the replay states, and the recipe's."""
    letters, true = [_letter(recipe, k) for k in found.operands], _rows(recipe)
    for letter, row in zip(letters, found.numbers.each, strict=False):
        for k in EACH:
            if k in row and letter in true:
                yield Stated(k, true[letter].get(k), row[k], row[k], row[k])
    ranged = {r.parameter for r in found.ranges}
    for name in SHARED:
        if name in recipe["shared"] and name not in ranged and name in found.numbers.shared:
            value = found.numbers.shared[name]
            yield Stated(name, recipe["shared"][name], value, value, value)
    scale = _scale(found, recipe)
    for known in found.ranges:
        ends = (known.value, known.low, known.high)
        if known.parameter == "weight" and not isinstance(known.operand, Absent):
            wanted = true.get(letters[known.operand], {}).get("weight")
            slack = PROPORTION if scale != 1 else 1e-12
            yield Stated("weight", None if wanted is None else wanted * scale, *ends, slack)
        elif known.parameter in recipe["shared"]:
            wanted = recipe["shared"][known.parameter]
            if known.parameter == "t" and letters[0] != recipe["models"][0]:
                wanted = 1 - wanted
            yield Stated(known.parameter, wanted, *ends)


def _scale(found: MethodReplay, recipe: Recipe) -> float:
    """What true weights are multiplied by to stand beside the recovered ones: proportions, where a merge
    divides by their sum or multiplies all of them."""
    whole = sum(r.get("weight", 0.0) for r in recipe["each"])
    stated = sum(r.get("weight", 0.0) for r in found.numbers.each)
    divided = recipe["method"] in PROPORTIONS or recipe["shared"].get("normalize", _normalised(recipe))
    scaled = found.numbers.shared.get("lambda", 1.0) != 1.0
    return float(stated / whole) if whole and (divided or scaled) else 1.0


def _normalised(recipe: Recipe) -> bool:
    """What the method does unless it is told."""
    declared = {d.name: d.default for d in method(recipe["method"]).parameters}
    return bool(declared.get("normalize", False))


def _of_blend(result: api.AuditResult, recipe: Recipe) -> Iterator[Stated]:
    """Shares of a plain blend beside the weights over their sum."""
    true = _rows(recipe)
    whole = sum(row["weight"] for row in true.values())
    for parent in result.report.verdict.parents:
        if isinstance(parent.weight, Absent):
            continue
        wanted = true.get(_named(result, recipe, parent.name), {}).get("weight", 0.0) / whole
        known = parent.weight
        yield Stated("weight", wanted, known.estimate, known.low, known.high, 1e-9)


def _of_sum(result: api.AuditResult, recipe: Recipe, found: MethodReplay | None) -> Iterator[Stated]:
    """Alpha of image models' mergers: the second model's weight, of all weights where these are divided."""
    second = recipe["models"][1]
    if found is not None and "weight" in (found.numbers.each or ({},))[-1]:
        letters = [_letter(recipe, k) for k in found.operands]
        weights = {x: float(r.get("weight", 0.0)) for x, r in zip(letters, found.numbers.each, strict=True)}
        whole = sum(weights.values()) if found.numbers.shared.get("normalize") else 1.0
        for known in found.ranges:
            if known.parameter != "weight" or isinstance(known.operand, Absent):
                continue
            if letters[known.operand] == second:
                ends = (known.value, known.low, known.high)
                value, low, high = (_share(e, known.value, whole) for e in ends)
                yield Stated("alpha", recipe["shared"]["alpha"], value, low, high, 1e-9)
        return
    for parent in result.report.verdict.parents:
        if not isinstance(parent.weight, Absent) and _named(result, recipe, parent.name) == second:
            weight = parent.weight
            yield Stated("alpha", recipe["shared"]["alpha"], weight.estimate, weight.low, weight.high, 1e-9)


def _share(moved: float, value: float, whole: float) -> float:
    """One weight of a sum that is divided by; ``whole`` 1: none is."""
    return moved if whole == 1.0 else moved / (whole - value + moved)


def facts(result: api.AuditResult, recipe: Recipe) -> list[tuple[str, str, str]]:
    """What is no number with an interval: name, as it was made, as it was told."""
    made, verdict = recipe["method"], result.report.verdict
    if verdict.status != "supported":
        return []
    if made == "passthrough" and not isinstance(result.report.layers, Absent):
        return [("layers", _map(recipe["shared"]["layers"]), _map(list(_layers_told(result, recipe))))]
    if made == "upcycling":
        return [("experts", " ".join(recipe["shared"]["experts"]), _experts_told(result, recipe))]
    if made == "abliteration" and (said := re.search(STRENGTH, verdict.sentence)):
        span = f"{said[2]} to {said[3]}" if said[2] else "to three digits"
        return [("strength", f"{recipe['shared']['strength']:.3g}", f"{said[1]} ({span})")]
    if made == "adapter" and verdict.relation == "adapter-fine-tune":
        rank = _rank(verdict.sentence)
        scaled = "DoRA" in verdict.sentence
        told_kind, most = ("dora", f"at most {rank}") if scaled else ("lora", f"{rank}")
        shared = recipe["shared"]
        return [("rank", str(shared["rank"]), most), ("kind", str(shared["kind"]), told_kind)]
    return []


def _map(layers: Sequence[Sequence[Any]]) -> str:
    return " ".join(f"{letter}{number}" for letter, number in layers)


def _layers_told(result: api.AuditResult, recipe: Recipe) -> Iterator[tuple[str, int | str]]:
    """The first copy of each layer; ? where it is none."""
    assert not isinstance(result.report.layers, Absent)
    for place in result.report.layers:
        if not isinstance(place.layer, Absent):
            copied = [(_named(result, recipe, o.model), o.number) for o in place.origins if o.copied]
            yield copied[0] if copied else ("?", "")


def _experts_told(result: api.AuditResult, recipe: Recipe) -> str:
    """The model that most matrices of each expert come from."""
    seen: dict[int, Counter[str]] = {}
    for found in _findings(result, "experts"):
        for row in found.measures["rows"]:
            seen.setdefault(row["expert"], Counter())[_letter(recipe, row["model"])] += 1
    return " ".join(seen[k].most_common(1)[0][0] for k in sorted(seen))


def _of_pattern(result: api.AuditResult, recipe: Recipe) -> Iterator[Stated]:
    true = _rows(recipe)
    for found in list(_findings(result, "thinned-by-chance"))[:1]:
        for model, parent in zip(found.models[1:], found.measures["parents"], strict=True):
            for key in ("density", "epsilon"):
                wanted = true.get(_letter(recipe, model), {}).get(key)
                if wanted is not None and not parent["whole"]:
                    yield Stated(key, wanted, *(float(x) for x in parent[key][:3]))


def _rank(sentence: str) -> int:
    """The rank that is told of all matrices; -1 where it is told of most."""
    found = re.search(r"(?<!mostly )(?:a rank of at most|change of rank) (\d+)", sentence)
    return int(found[1]) if found else -1


def _low_rank(result: api.AuditResult, recipe: Recipe) -> Iterator[tuple[str, bool]]:
    relation = result.report.verdict.relation
    sentence = result.report.verdict.sentence
    if recipe["method"] == "abliteration" and relation == "abliteration":
        said = re.search(STRENGTH, sentence)
        yield "strength", said is not None and abs(float(said[1]) - recipe["shared"]["strength"]) < 0.005
    if recipe["method"] == "adapter" and relation == "adapter-fine-tune":
        wanted, dora = recipe["shared"]["rank"], recipe["shared"]["kind"] == "dora"
        rank = _rank(sentence)
        # Where rows are scaled the answer is an upper limit.
        yield "rank", wanted <= rank if dora else rank == wanted
        yield "kind", dora == ("DoRA" in sentence)


def _taken(result: api.AuditResult, recipe: Recipe) -> Iterator[tuple[str, bool]]:
    """Where layers and experts come from."""
    relation, layers = result.report.verdict.relation, result.report.layers
    if recipe["method"] == "upcycling" and relation == "upcycled-moe":
        for found in _findings(result, "experts"):
            for row in found.measures["rows"]:
                yield "expert", _letter(recipe, row["model"]) == recipe["shared"]["experts"][row["expert"]]
    if (
        recipe["method"] == "passthrough"
        and relation == "passthrough-merge"
        and not isinstance(layers, Absent)
    ):
        for place in layers:
            yield from _origin(result, place, recipe)


def _origin(result: api.AuditResult, place: Any, recipe: Recipe) -> Iterator[tuple[str, bool]]:
    if isinstance(place.layer, Absent):
        return
    letter, number = recipe["shared"]["layers"][place.layer]
    copied = [(_named(result, recipe, o.model), o.number) for o in place.origins if o.copied]
    yield "layer", (letter, number) in copied
