"""Write docs/methods.md: every merge method, its parameters, and how far a tool's own bits come out.

    python -m scripts.docs.make_methods

The methods are read from the registry, the counts from ``docs/data/method_bits.json``, which
``scripts/fixtures/measure_methods.py`` measures beside the tools; what is recognised from
``docs/data/confusion.json`` (:mod:`scripts.docs.confusion`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.docs.confusion import confusion

from parentage.methods.method import ONE_ARITHMETIC, PROFILES, Declared, Method
from parentage.methods.registry import method, names

__all__ = ["PAGE", "main", "page"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "methods.md"
COUNTS = DOCS / "data" / "method_bits.json"
RECOGNISED = DOCS / "data" / "recognition.json"
THINNED = DOCS / "data" / "recognition_thinned.json"
ADAPTERS = DOCS / "data" / "adapter_bits.json"
DTYPES = ("BF16", "F16", "F32")
METHODS = names()

_HEAD = """# Merge methods

Written by `python -m scripts.docs.make_methods`; the counts by `scripts/fixtures/measure_methods.py`.

A method states its forward rule once, in `src/parentage/methods/`. What it computes is decided by the
*profile* under which it runs, for two tools that follow one formula differ in many bits:

"""

_CONFUSION = """
### An earlier run: weighted sums and spheres

Random recipes (`tests/recognition/draws.py`), merged by mergekit 0.1.5 itself
(`scripts/fixtures/make_recognition_merges.py`) from small real tensors of O, A and B or from a synthetic
family whose models point apart, each audited against all three models
(`python -m tests.recognition.run`). Named: the verdict is supported, with that method. In range: of those
with ranges of t or weights, how many hold every number typed (proportions, where weights are divided by
their sum).

| made by | merges | named so | no method named | named otherwise | numbers in range |
|---|---|---|---|---|---|
"""

_TABLE = """
## How far a tool's own bits come out

Each method merges the same ten tensors of the real family (nine of layer 0, 5,000 rows of the word
embedding; O is the base) once by {tools} on one thread and once here, under the profile `mergekit-0.1.5`.
The share of elements whose stored bits are the tool's:

| method | bfloat16 | binary16 | float32 |
|---|---|---|---|
"""

_AFTER = """
{elements} elements a cell; 1 means that every bit is the tool's. Where one is missing:

- **karcher**, and **slerp** and **nuslerp** in float32 where the models are far apart: a coefficient is a
  sine or an angle by torch's vector library, whose last bit is not the correctly rounded one in 5 to 9 of
  100 arguments; a dot product of karcher is the matrix library's. Elements differ by a last bit.

Fixtures hold more: 279 recipes of mergekit 0.1.5 on small real tensors, 18 adapters merged by peft (LoRA,
its safe merge, DoRA; ranks 2 and 16) and 18 image-model merges by sd-mecha, with parameters of every kind
(`tests/methods/test_tools.py`, `test_adapters.py`): no bit differs, but for those named above in float32.
Task arithmetic, its relatives and slerp were compared with the functions of mergekit 0.1.4 too: no bit
differs on the fixtures' operands ([log](log.md)).

What a tool's outcome depends on beside its recipe, and is held to here: one thread (sums in torch's own
order), a processor with fused multiply-adds, the generator's words in the order of tensors' names, and
which of equal magnitudes its sort keeps. With more threads, or on an accelerator, sums are split otherwise
and a last bit of a norm may differ. The mask of arcee_fusion hangs on the last bits of softmaxes, which are
rebuilt as torch computes them with vectors of 512 bits; with 256 bits a row is added up otherwise.

## The methods
"""

_ADAPTERS = """
## Adapters combined as peft combines them

{tools}: two random adapters over the intermediate matrix of O's layer 0, combined by
`add_weighted_adapter` and merged there, and here under the profile `peft`
(`scripts/fixtures/measure_adapters.py`); density 0.4, the generator seeded before the call. The share of
{elements} elements whose stored bits are peft's, and how far apart the others are at most:

| method | bfloat16 | float32 | |
|---|---|---|---|
"""

_ADAPTERS_AFTER = """
Where singular values are taken, peft's last bits are those of its LAPACK in float32 on the whole matrix,
and ours come from float64 without the matrix: in float32 many elements differ by a last bit or two of the
matrix's largest numbers, in bfloat16 hardly any. 56 more, with three adapters, rsLoRA, other densities and
elections by count: `tests/methods/test_adapter_combinations.py`.
"""

_THINNED = """
### An earlier run: thinned task vectors

{number} merges by mergekit 0.1.5 of pieces of the real family (four tensors, 22,400 elements; random
weights, densities and lambdas; half of the seeds small, half of 32 bits; computed in bfloat16 or float32,
stored in bfloat16), each through the recognition pass with O, A and B as possible parents, none said to be
the base.
*By replay*: every bit of every tensor (in brackets: with every density, gamma and epsilon as typed). *By
pattern*: the seed was not among the first 2^26, or no numbers replayed (in brackets: the 99.9 % intervals
of all densities hold the truth). The one breadcrumbs merge with elected signs that is named breadcrumbs has
one parent, where the two are the same.

| method | merges | by replay | by pattern | undetermined | named otherwise |
|---|---|---|---|---|---|
"""


def _share(row: dict[str, Any]) -> str:
    if row["off"] == 0:
        return "1"
    share = f"{1 - row['off'] / row['elements']:.6f}"
    return f"all but {row['off']}" if share == "1.000000" else share


def _table(counts: dict[str, Any]) -> Iterator[str]:
    rows = {(r["method"], r["dtype"]): r for r in counts["rows"]}
    for name in dict.fromkeys(r["method"] for r in counts["rows"]):
        yield f"| {name} | {' | '.join(_share(rows[name, d]) for d in DTYPES)} |\n"


def _recognised() -> Iterator[str]:
    """Of each method's audited merges: recognised, as what else, how often the ranges hold the truth."""
    rows = list(json.loads(RECOGNISED.read_text()).values())
    yield _CONFUSION
    for name in sorted({r["true"] for r in rows}):
        mine = [r for r in rows if r["true"] == name]
        right = [r for r in mine if r["method"] == name]
        others = Counter(str(r["method"]) for r in mine if r["method"] not in (name, None))
        none = sum(r["method"] is None for r in mine)
        told = [r["within"] for r in right if r.get("within") is not None]
        held = f"{sum(told)} of {len(told)}" if told else "–"
        wrong = ", ".join(f"{k} {n}" for k, n in sorted(others.items())) or "–"
        yield f"| {name} | {len(mine)} | {len(right)} | {none} | {wrong} | {held} |\n"


def _adapters() -> Iterator[str]:
    """How far peft's own combinations of adapters come out."""
    counts = json.loads(ADAPTERS.read_text())
    tools = ", ".join(f"{name} {version}" for name, version in sorted(counts["made_with"].items()))
    rows = {(r["method"], r["dtype"]): r for r in counts["rows"]}
    yield _ADAPTERS.format(tools=tools, elements=f"{counts['rows'][0]['elements']:,}")
    for name in dict.fromkeys(r["method"] for r in counts["rows"]):
        mine = [rows[name, d] for d in ("BF16", "F32")]
        apart = "" if not any(r["off"] for r in mine) else ", ".join(f"{r['apart']:.1g}" for r in mine)
        yield f"| {name} | {_share(mine[0])} | {_share(mine[1])} | {apart} |\n"
    yield _ADAPTERS_AFTER


def _thinned() -> Iterator[str]:
    """How merges by mergekit of methods that thin task vectors were named."""
    rows = json.loads(THINNED.read_text())
    yield _THINNED.format(number=len(rows))
    for name in dict.fromkeys(
        r["true"] for r in sorted(rows.values(), key=lambda r: METHODS.index(r["true"]))
    ):
        mine = [r for r in rows.values() if r["true"] == name]
        replayed = [r for r in mine if r["by"] == "replay" and r["said"] == name]
        family = [r for r in mine if r["by"] == "pattern" and r["said"] == name.split("_")[0]]
        open_ = sum(r["by"] == "nothing" for r in mine)
        typed = sum(r["numbers"] for r in replayed)
        held = sum(r["densities"] for r in family)
        wrong = len(mine) - len(replayed) - len(family) - open_
        told = f"{len(replayed)} ({typed}) | {len(family)} ({held}) | {open_} | {wrong}"
        yield f"| {name} | {len(mine)} | {told} |\n"


def _bounds(declared: Declared) -> str:
    if declared.kind == "switch":
        return "true or false"
    kind = "whole number" if declared.kind == "count" else "number"
    low, high = declared.low, declared.high
    if low == float("-inf") and high == float("inf"):
        return kind
    return f"{kind}, at least {low:g}" if high == float("inf") else f"{kind}, {low:g} to {high:g}"


def _default(declared: Declared) -> str:
    if declared.default is None:
        return "must be given"
    return str(declared.default).lower() if isinstance(declared.default, bool) else f"{declared.default:g}"


def _section(found: Method) -> Iterator[str]:
    profiles = [p for p in found.profiles if not p.startswith(ONE_ARITHMETIC)]
    base = {"required": "needs a base", "optional": "may have a base"}.get(found.base, "no base")
    yield f"\n### {found.id}\n\n{found.about[0].upper()}{found.about[1:]}. [Source]({found.paper}).\n"
    yield f"Reported as `{found.relation}`; {base}; profiles: {', '.join(f'`{p}`' for p in profiles)}.\n"
    if found.parameters:
        yield "\n| parameter | of | value | default | |\n|---|---|---|---|---|\n"
    for d in found.parameters:
        of = "each model" if d.per_model else "the merge"
        yield f"| `{d.name}` | {of} | {_bounds(d)} | {_default(d)} | {d.about} |\n"


def page() -> str:
    """The page's text."""
    counts = json.loads(COUNTS.read_text())
    tools = ", ".join(f"{name} {version}" for name, version in sorted(counts["made_with"].items()))
    elements = f"{counts['rows'][0]['elements']:,}"
    profiles = "".join(f"- `{name}`: {about}\n" for name, about in PROFILES.items())
    parts = [_HEAD, profiles, _TABLE.format(tools=tools), *_table(counts), _AFTER.format(elements=elements)]
    parts[-1], methods = parts[-1].split("\n## The methods\n")
    parts += [*_adapters(), *confusion(), *_recognised(), *_thinned(), "\n## The methods\n", methods]
    for name in names():
        parts += _section(method(name))
    return "".join(parts)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
