"""``upcycled-moe``: a mixture whose experts are, or began as, copies of dense models' parts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from parentage.records.recognition import Recognition
from parentage.verdicts.readings import Readings
from parentage.verdicts.sentences import listing
from parentage.verdicts.weighing import Status, Weighing

__all__ = ["weigh_upcycled"]

# Raw weights of unrelated models correlate by less than .1, of fine-tunes of one base by more than .9.
ALIKE: Final = 0.5
# Below, a matrix says too little.
LEAST: Final = 1024

Row = Mapping[str, Any]


def weigh_upcycled(readings: Readings) -> Weighing | None:
    """Supported when every expert's every matrix looked at is alike that of a dense model's same layer."""
    rows = _rows(readings)
    if not rows:
        return None
    unlike = [r for r in rows if r["alike"] < ALIKE or r["looked"] < LEAST]
    if unlike:
        share = f"{len(rows) - len(unlike)} of {len(rows)} matrices of experts"
        against = f"{share} are alike those of a dense model given"
        return Weighing("upcycled-moe", Status.UNDETERMINED, against=against)
    models = tuple(sorted({int(r["model"]) for r in rows}))
    looked, equal = sum(r["looked"] for r in rows), sum(r["equal"] for r in rows)
    why = _why(rows, looked, equal)
    return Weighing(
        "upcycled-moe",
        Status.SUPPORTED,
        sentence=_sentence(readings, rows, models, looked == equal),
        models=models,
        excluded=(
            ("independent", why),
            ("copy", "its experts have no counterpart of their own in a dense model"),
        ),
        limits=(
            "Which came first is not read from this: a dense model may have been made of one expert.",
            *(
                ()
                if equal == looked
                else ("What changed the experts since is not judged: training, noise or a merge.",)
            ),
        ),
    )


def _rows(readings: Readings) -> list[Row]:
    found = readings.evidence.recognition
    if not isinstance(found, Recognition):
        return []
    return [row for f in found.findings if f.kind == "experts" for row in f.measures["rows"]]


def _why(rows: Sequence[Row], looked: int, equal: int) -> str:
    least = min(r["alike"] for r in rows)
    return (
        f"{equal:,} of {looked:,} numbers of {len(rows)} matrices of experts are those of a dense model's "
        f"same layer, and the least alike correlates by {least:.3f}"
    )


def _sentence(readings: Readings, rows: Sequence[Row], models: Sequence[int], same: bool) -> str:
    """Experts by the model that most of their matrices are alike."""
    votes: dict[int, Counter[int]] = defaultdict(Counter)
    for row in rows:
        votes[row["expert"]][row["model"]] += 1
    of: dict[int, list[int]] = defaultdict(list)
    for expert, counts in sorted(votes.items()):
        of[min(counts, key=lambda m: (-counts[m], m))].append(expert)
    parts = [f"experts {_span(of[m])} of {readings.name(m)}" for m in models if of[m]]
    what = "are copies of the feed-forward parts" if same else "began as the feed-forward parts"
    return f"is a mixture of {len(votes)} experts a layer that {what}: {listing(parts)}"


def _span(experts: Sequence[int]) -> str:
    whole = list(range(experts[0], experts[-1] + 1))
    if len(experts) > 2 and list(experts) == whole:
        return f"{experts[0]} to {experts[-1]}"
    return listing([str(e) for e in experts])
