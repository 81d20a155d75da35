"""Write docs/what-training-leaves.md from docs/data/training.json, as measured.

python -m scripts.docs.make_training_table
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from parentage.numerics.shares.intervals_binomial import smallest_detectable_share

__all__ = ["DATA", "DOSES", "PAGE", "SECOND", "main", "page", "smallest_dose"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "what-training-leaves.md"
DATA = DOCS / "data" / "training.json"
SECOND = DOCS / "data" / "training-small.json"
DOSES = DOCS / "data" / "doses-small.json"
AGAIN = DOCS / "data" / "training-seed-8.json"
POWER = 0.99
NAMES = {
    "sft": "fine-tuning (AdamW, all weights)",
    "distill": "on-policy distillation",
    "rl": "policy gradient",
    "lora": "LoRA, merged in",
    "randopt": "RandOpt (W + σε)",
    "abliteration": "abliteration",
    "weight-decay": "weight decay alone",
}
UNITS = {
    "randopt": "σ",
    "abliteration": "strength",
    "weight-decay": "steps · rate · decay",
}

_HEAD = """# What training leaves

Written by `python -m scripts.docs.make_training_table`; measured by

    python -m examples.affair --size tiny
    python -m scripts.training.measure build/affair/tiny docs/data/training.json

A merge that was stored in bfloat16 (0.57 of Nex and 0.43 of its base, of the [affair in
miniature](affair.md), {elements:,} weights) is trained on in many ways and doses; what each left in
the stored numbers is counted against the merge, and each is audited against its two parents with
`--full`. Small models have larger weights than large ones of the same design, so a rate moves fewer
of them: read down a column, not the columns of another model off it. Runs train float32 masters at
a constant rate with batches of 8 and decay .01, and round once at the end; [another
seed](#another-seed) gives much the same.

- *changed*: share of stored numbers that differ from the merge's; by kind of tensor beside it.
- *σ*: root mean square of the change over the weights' standard deviation, median of all
  matrices (0 where most are untouched).
- *rank*: stable rank of the change (squared Frobenius over squared largest singular value), median
  of the matrices that differ, of the full rank; *untouched*: matrices without any change.
- *off replay*: share of the replayed elements, those where the parents differ, that are not the
  blend's. It stands only where the audit supports a merge.
- *audit*: what it says was made, and whether training after it was.

"""

_SEEN = """
## The smallest dose that is seen

"Seen" means: at least one changed element is among those replayed. For a change that reaches a
share p of all elements, evenly spread, n replayed ones show it with 99 % power where p ≥ 1 -
.01^(1/n). That is how the report's sentence *what would have been seen* is computed, from the n of
its own audit; here it is turned into doses, between measured ones on a straight line of logarithms.
*Seen* is not yet *detected*: that also needs a supported merge and every [rival cause](relations.md)
excluded. The last column has the range of measured doses at which this was so; larger ones than
those can be undetermined again, for what was trained far enough does not sit on the grid of a stored
merge any more. An audit's n is its own: 65,536
elements of each tensor by default (4,096 at first where models are read over a network), all with
`--full`.

"""

_AGAIN = """
## Another seed

The same doses with the order of examples, the sampling and the noise of another seed (8 for 7):

    python -m scripts.training.measure build/affair/tiny docs/data/training-seed-8.json --seed 8

"""

_SECOND = """
## A second model

The runs of the affair's small version, on SmolLM2-135M-Instruct ({elements:,} weights in bfloat16), each
against the model that it began with; counted by

    python -m scripts.training.second_model build/affair/small docs/data/training-small.json

One seed each; rates follow a cosine after a warm-up, *dose* is the sum of all steps' rates. What the audit
says of them is in [the affair](affair.md): only the distillation began from a merge.

| model | kind | run | dose | changed | by kind of tensor | σ | rank | untouched |
|---|---|---|---|---|---|---|---|---|
"""

_SMALL_DOSES = """
### Small doses of it

The second model's merge, fine-tuned by single steps at a constant rate (batches of 4, seed 7), and audited
against its two parents without controls at the default budget:

    python -m scripts.training.second_doses build/affair/small docs/data/doses-small.json

| dose | changed | by kind of tensor | σ | rank | untouched | off replay | audit |
|---|---|---|---|---|---|---|---|
"""

_PUBLISHED = """
## Published shares

Second-hand, of Qwen3-8B in bfloat16 (arXiv 2606.07082): share of weights unchanged after supervised
fine-tuning 8 %, after on-policy distillation 52 %, after reinforcement learning with checked
rewards 77 %; deltas of full rank, most in feed-forward layers. Those were long runs at small rates;
nothing above reproduces them.
"""


def _percent(share: float) -> str:
    return "0" if share == 0 else f"{100 * share:.3g} %"


def _left(row: dict[str, Any]) -> list[str]:
    """Share, share by kind of tensor, σ, rank, untouched matrices."""
    parts = ", ".join(f"{k} {_percent(v)}" for k, v in row["by_component"].items())
    rank = "–" if row["stable_rank"] is None else f"{row['stable_rank']:.1f} of {row['full_rank']:g}"
    untouched = f"{row['untouched']} of {row['matrices']}"
    return [_percent(row["share"]), parts, f"{row['sigma']:.2g}", rank, untouched]


def _second_line(row: dict[str, Any]) -> str:
    told = [row["model"].replace("/checkpoints/", ", "), NAMES[row["kind"]], row["settings"]]
    return "| " + " | ".join([*told, f"{row['dose']:.2g}", *_left(row)]) + " |\n"


def _line(row: dict[str, Any]) -> str:
    off = "–" if row["off_replay"] is None else _percent(row["off_replay"])
    said = row["relation"] if row["status"] == "supported" else f"{row['status']}"
    cells = [
        row["settings"].replace("1 steps", "1 step")
        if row["settings"].startswith("1 ")
        else row["settings"],
        *_left(row),
        off,
        f"{said}; {row['post_training']}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def smallest_dose(rows: Sequence[dict[str, Any]], share: float) -> str:
    """The dose at which ``share`` of the numbers changed, by a straight line between measured doses."""
    known = sorted((r["dose"], r["share"]) for r in rows)
    if known[0][1] >= share:
        return f"at most {known[0][0]:.2g}"
    for (d0, s0), (d1, s1) in pairwise(known):
        if s1 >= share:
            if s0 <= 0:
                return f"{d0:.2g} to {d1:.2g}"
            t = (math.log(share) - math.log(s0)) / (math.log(s1) - math.log(s0))
            return f"{math.exp(math.log(d0) + t * (math.log(d1) - math.log(d0))):.2g}"
    return f"more than {known[-1][0]:.2g}"


def _detected(rows: Sequence[dict[str, Any]]) -> str:
    found = sorted(r["dose"] for r in rows if r["post_training"] == "detected")
    return f"{found[0]:.2g} to {found[-1]:.2g}" if found else "none of those measured"


def page() -> str:
    """The page's text."""
    places = (DATA, AGAIN, SECOND, DOSES)
    return "".join(_text(*(json.loads(place.read_text("utf-8")) for place in places)))


def _text(
    rows: Sequence[dict[str, Any]],
    again: Sequence[dict[str, Any]],
    second: Sequence[dict[str, Any]],
    doses: Sequence[dict[str, Any]],
) -> Iterator[str]:
    yield _HEAD.format(elements=rows[0]["elements"])
    kinds = [k for k in NAMES if any(r["kind"] == k for r in rows)]
    for kind in kinds:
        yield f"## {NAMES[kind][0].upper()}{NAMES[kind][1:]}\n\n"
        yield "| dose | changed | by kind of tensor | σ | rank | untouched | off replay | audit |\n"
        yield "|---|---|---|---|---|---|---|---|\n"
        yield from (_line(r) for r in rows if r["kind"] == kind)
        yield "\n"
    yield _SEEN.lstrip("\n")
    yield from _seen(rows, kinds)
    yield _AGAIN
    yield from _other_seed(rows, again)
    yield _SECOND.format(elements=second[0]["elements"])
    yield from map(_second_line, second)
    yield from _small_doses(second, doses)
    yield _PUBLISHED


def _other_seed(rows: Sequence[dict[str, Any]], again: Sequence[dict[str, Any]]) -> Iterator[str]:
    """By kind: how far shares and sizes of the two seeds are apart, and at which doses they were told."""
    yield "| kind | doses | changed, ratio | σ, ratio | detected at, seed 7 | seed 8 | told otherwise |\n"
    yield "|---|---|---|---|---|---|---|\n"
    for kind in (k for k in NAMES if any(r["kind"] == k for r in again)):
        own, other = ({r["settings"]: r for r in some if r["kind"] == kind} for some in (rows, again))
        pairs = [(own[s], other[s]) for s in own if s in other]
        apart = [s for s in own if s in other and _audit(own[s]) != _audit(other[s])]
        cells = [
            NAMES[kind],
            str(len(pairs)),
            _ratios([(a["share"], b["share"]) for a, b in pairs]),
            _ratios([(a["sigma"], b["sigma"]) for a, b in pairs]),
            *(_detected([p[k] for p in pairs]) for k in (0, 1)),
            "; ".join(f"{s}: {_audit(own[s])} / {_audit(other[s])}" for s in apart) or "none",
        ]
        yield "| " + " | ".join(cells) + " |\n"
    yield "\nAbliteration and decay draw nothing: their rows are the same by construction.\n"


def _ratios(pairs: Sequence[tuple[float, float]]) -> str:
    found = sorted(b / a for a, b in pairs if a > 0 and b > 0)
    return f"{found[0]:.3g} to {found[-1]:.3g}" if found else "–"


def _audit(row: dict[str, Any]) -> str:
    return f"{row['relation'] if row['status'] == 'supported' else row['status']}, {row['post_training']}"


def _small_doses(second: Sequence[dict[str, Any]], doses: Sequence[dict[str, Any]]) -> Iterator[str]:
    """The doses' table, and the smallest dose that is seen at the default budget and in full."""
    yield _SMALL_DOSES
    yield from map(_line, doses)
    nex = next(r for r in second if r["model"] == "nex")
    counts = (max(r["replayed"] for r in doses), round(nex["share"] * nex["elements"]))
    shares = [smallest_detectable_share(n, power=POWER) for n in counts]
    told = [smallest_dose(doses, share) for share in shares]
    yield (
        f"\nAt the default budget {counts[0]:,} elements were replayed; with 99 % power they show a share\n"
        f"of {shares[0]:.2g}: a dose (steps · rate) of {told[0]}. `--full` replays all where the parents\n"
        f"differ, some {counts[1]:,}: a share of {shares[1]:.2g}, a dose of {told[1]}. *Detected* at:\n"
        f"{_detected(doses)}; and distillation at 6.5e-05 ([the affair](affair.md#the-small-version)).\n"
        "A merge of which a few numbers in a hundred thousand are others is seen not to replay, and what\n"
        "it is stays open: *seen* is far from *detected*.\n"
    )


def _seen(rows: Sequence[dict[str, Any]], kinds: Sequence[str]) -> Iterator[str]:
    own = max(r["replayed"] for r in rows)
    counts = (4_096, own, 13_000_000)
    told = " | ".join(f"n = {n:,}" for n in counts)
    yield f"| kind | unit of dose | {told} | detected at |\n|---|---|{'---|' * len(counts)}---|\n"
    for kind in kinds:
        these = [r for r in rows if r["kind"] == kind]
        doses = (smallest_dose(these, smallest_detectable_share(n, power=POWER)) for n in counts)
        unit = UNITS.get(kind, "steps · rate")
        yield f"| {NAMES[kind]} | {unit} | {' | '.join(doses)} | {_detected(these)} |\n"
    shares = ", ".join(f"{smallest_detectable_share(n, power=POWER):.2g}" for n in counts)
    yield (
        f"\nn: elements replayed; {own:,} are all of this model's where its parents differ (a model this\n"
        f"small is read whole by default); 13,000,000 are the default's of a model of 200 matrices. They\n"
        f"show shares of {shares}.\n"
    )


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
