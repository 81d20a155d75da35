"""The confusion matrix of ``docs/methods.md``: what merges, and what is no merge, are told to be.

Rendered from ``docs/data/confusion.json``, which ``python -m tests.recognition.confusion.run`` writes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.recognition.confusion.draws import DRAWS, NULLS

from parentage.methods.registry import method
from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.relations import MERGES

__all__ = ["DATA", "RELATION_OF", "confusion", "false_merges", "load"]

DATA = Path(__file__).resolve().parents[2] / "docs" / "data" / "confusion.json"
LEVEL = 0.95
Row = dict[str, Any]
# The relation that a recipe's method is reported as.
KINDS = {"adapter": "lora"}
RELATION_OF = {
    **{name: method(KINDS.get(name, name)).relation for name in DRAWS if name not in NULLS},
    "fine-tune-of-O": "fine-tune",
    "fine-tune-of-A": "fine-tune",
    "run-average": "same-run-checkpoint",
    "earlier-checkpoint": "same-run-checkpoint",
    "independent": "independent",
}
# What committed files of sd-mecha and peft hold in every bit.
FIXTURES = ("add_difference", "weighted_sum", "adapter")
# An added difference is the weighted sum 1, alpha, -alpha: either name is true.
ALSO = {"add_difference": "linear-merge"}

_ABOUT = """
## What is recognised

{count} suspects by other tools themselves, drawn at random (`tests/recognition/confusion/draws.py`) and
made by `scripts/fixtures/make_confusion.py`: merges by mergekit 0.1.5 (passthrough by its planner,
upcycling by its mergekit-moe), add-difference of whole image-model files by sd-mecha 1.1.8, adapters
trained and merged by peft, abliterations by the published formula in torch; and what is no merge:
trained fine-tunes of O and of A, averages over a training run and earlier checkpoints of one, each
against the end of that run, and models of other weights. The models are small: corners of the real O, A
and B (22,400 to 63,312 elements), and for methods that near models do not tell apart a synthetic family
whose models point apart. Operands in bfloat16 or float32, either arithmetic, stored in bfloat16 or, of
float32 arithmetic, at times in float32. Each is audited against all models of its family, none said to
be the base (`python -m tests.recognition.confusion.run`).
{codes}

*Bits*: the share of elements in which our merge equals the tool's
([above](#how-far-a-tools-own-bits-come-out); in bfloat16, binary16 and float32 where they differ);
`fixtures`: every bit of the committed ones, held by `tests/methods/`. *Relation told* and *method named*:
by a supported verdict, with 95 % intervals (Clopper–Pearson). *Pattern*: told without a replay (DARE and
DELLA of an unknown seed are told by their pattern alone, which leaves the method's variant open).
*Confused with*: a supported verdict of another relation (a NearSwap whose t takes everything over is a
copy, and called one). *Numbers held*: how many of the recipe's numbers that an answer states are equal to
it or within its interval (weights that a tool divides by their sum: as proportions). *True and recovered*:
those of one suspect, with the interval that was left (layers, experts and ranks have none).

"""

COLUMNS = (
    "made by",
    "bits",
    "suspects",
    "relation told",
    "method named",
    "pattern",
    "undetermined",
    "confused with",
    "numbers held",
    "true and recovered",
)

_MATRIX = """
### Made as, told as

Rows: what was made. Columns: the relation of a supported verdict; `–`: undetermined. In bold: the relation
is the true one (an added difference is task arithmetic, and the weighted sum 1, alpha, -alpha).

"""

_NULLS = """
None of {count} fine-tunes, independents, run averages, checkpoints and adapters is called a merge (upper
limit at 95 %: {upper:.1%}).
"""

_SOME_NULLS = """
{false} of {count} fine-tunes, independents, run averages, checkpoints and adapters are called a merge:
{names}.
"""


def load() -> dict[str, Row]:
    """The rows by name."""
    found: dict[str, Row] = json.loads(DATA.read_text())
    return found


def false_merges(rows: dict[str, Row]) -> list[str]:
    """What is no merge and was called one."""
    no_merge = {*NULLS, "adapter"}
    merges = MERGES | {"passthrough-merge"}
    return [
        name
        for name, row in rows.items()
        if row["true"] in no_merge and row["status"] == "supported" and row["relation"] in merges
    ]


def _right(told: str, made: str) -> bool:
    return told in (RELATION_OF[made], ALSO.get(made))


def _told(row: Row) -> str:
    return str(row["relation"]) if row["status"] == "supported" else "–"


def _of(rows: dict[str, Row], made: str) -> list[Row]:
    return [row for row in rows.values() if row["true"] == made]


def _matrix(rows: dict[str, Row], methods: Sequence[str]) -> Iterator[str]:
    """Counts by what was made and what was told; columns that occur, in the methods' order."""
    seen = Counter(_told(row) for row in rows.values())
    columns = [c for c in (*dict.fromkeys(RELATION_OF.values()), *sorted(seen)) if c in seen and c != "–"]
    columns = [*dict.fromkeys(columns), "–"]
    heads = [c.removesuffix("-merge").replace("-", " ") for c in columns[:-1]] + ["–"]
    yield f"| made by | {' | '.join(heads)} |\n|---|{'---|' * len(columns)}\n"
    for made in methods:
        counts = Counter(_told(row) for row in _of(rows, made))
        cells = (_cell(counts[c], _right(c, made)) for c in columns)
        yield f"| {made} | {' | '.join(cells)} |\n"


def _cell(count: int, right: bool) -> str:
    if count == 0:
        return ""
    return f"**{count}**" if right else str(count)


def _rate(right: int, of: int) -> str:
    low, high = clopper_pearson(right, of, level=LEVEL)
    return f"{right} of {of} ({low:.0%} to {high:.0%})"


def _rates(rows: dict[str, Row], methods: Sequence[str], bits: Mapping[str, str]) -> Iterator[str]:
    for made in methods:
        mine = _of(rows, made)
        right = [r for r in mine if _right(_told(r), made)]
        named = [r for r in mine if r["status"] == "supported" and r["method"] == made]
        pattern = sum(r["by"] == "pattern" for r in right)
        open_ = sum(_told(r) == "–" for r in mine)
        others = Counter(_told(r) for r in mine if _told(r) != "–" and not _right(_told(r), made))
        wrong = ", ".join(f"{k} {n}" for k, n in sorted(others.items())) or "–"
        by_name = _rate(len(named), len(mine)) if any(r["method"] for r in right) or pattern else "–"
        yield (
            f"| {made} | {_bits(made, bits)} | {len(mine)} | {_rate(len(right), len(mine))} | {by_name} "
            f"| {pattern} | {open_}{_low(mine)} | {wrong} | {_held(mine)} | {_example(mine)} |\n"
        )


def _low(rows: Sequence[Row]) -> str:
    """How many of what is undetermined is said to be a change of low rank."""
    found = sum(_told(r) == "–" and "fine-tune of low rank leaves it" in r["sentence"] for r in rows)
    return f" ({found} said to be of low rank)" if found else ""


def _bits(made: str, bits: Mapping[str, str]) -> str:
    """What a tool's own bits were compared in; nothing for what no rule of ours makes."""
    return bits.get(made, "fixtures" if made in FIXTURES else "–")


def _example(rows: Sequence[Row]) -> str:
    """The numbers of the first suspect that has any: true → recovered (interval)."""
    numbers = next((r["numbers"] for r in rows if r.get("numbers")), [])
    told = [_number(n) for n in numbers if n["true"] is not None]
    told += [f"{name} {true} → {said}" for name, true, said in _facts(rows)]
    return ", ".join(told) or "–"


def _facts(rows: Sequence[Row]) -> Sequence[Sequence[str]]:
    """Of the first suspect that has any: what is no number with an interval."""
    return next((r["facts"] for r in rows if r.get("facts")), [])


def _number(n: Mapping[str, Any]) -> str:
    told = f"{n['name']} {n['true']:.4g} → {n['value']:.6g}"
    return told if n["low"] == n["high"] else f"{told} ({n['low']:.8g} to {n['high']:.8g})"


def _held(rows: Sequence[Row]) -> str:
    found: dict[str, list[int]] = {}
    for row in rows:
        for name, (right, of) in row["held"].items():
            mine = found.setdefault(name, [0, 0])
            mine[0] += right
            mine[1] += of
    return ", ".join(f"{n} {right} of {of}" for n, (right, of) in sorted(found.items())) or "–"


def _nulls(rows: dict[str, Row]) -> str:
    of, false = sum(r["true"] in {*NULLS, "adapter"} for r in rows.values()), false_merges(rows)
    if false:
        return _SOME_NULLS.format(false=len(false), count=of, names=", ".join(false))
    return _NULLS.format(count=of, upper=clopper_pearson(0, of, level=LEVEL)[1])


def _codes(rows: dict[str, Row]) -> str:
    """By which states of the package the rows were judged."""
    found = Counter(row["code"] for row in rows.values())
    told = ", ".join(f"`{code}` {count}" for code, count in sorted(found.items(), key=lambda c: -c[1]))
    return f"Judged by (Git's id of `src/parentage`): {told}."


def confusion(bits: Mapping[str, str]) -> Iterator[str]:
    """The section: one row a method, the matrix, and what is said of what is no merge. ``bits``: by method,
    how far a tool's own came out."""
    rows = load()
    methods = [m for m in DRAWS if _of(rows, m)]
    yield _ABOUT.format(count=len(rows), codes=_codes(rows))
    yield f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|\n"
    yield from _rates(rows, methods, bits)
    yield _nulls(rows)
    yield _MATRIX
    yield from _matrix(rows, methods)
