"""Write docs/methods.md: every merge method, its parameters, and how far a tool's own bits come out.

    python -m scripts.docs.make_methods

The methods are read from the registry, the counts from ``docs/data/method_bits.json``, which
``scripts/fixtures/measure_methods.py`` measures beside the tools; what is recognised from
``docs/data/confusion.json`` (:mod:`scripts.docs.confusion`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.docs.confusion import confusion

from parentage.methods.method import ONE_ARITHMETIC, PROFILES, Declared, Method
from parentage.methods.registry import method, names

__all__ = ["PAGE", "bits", "main", "page"]

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "methods.md"
COUNTS = DOCS / "data" / "method_bits.json"
ADAPTERS = DOCS / "data" / "adapter_bits.json"
DTYPES = ("BF16", "F16", "F32")

_HEAD = """# Merge methods

Written by `python -m scripts.docs.make_methods`; the counts by `scripts/fixtures/measure_methods.py`.

A method states its forward rule once, in `src/parentage/methods/`. What it computes is decided by the
*profile* under which it runs, for two tools that follow one formula differ in many bits:

"""

_BITS = """
## How far a tool's own bits come out

Each method merges the same ten tensors of the real family (nine of layer 0, 5,000 rows of the word
embedding; O is the base) once by {tools} on one thread and once here, under the profile `mergekit-0.1.5`,
in bfloat16, binary16 and float32, {elements} elements each. The share of elements whose stored bits are the
tool's is the first column of the table [below](#what-is-recognised).
"""

_AFTER = """
Where a bit may differ:

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


def _share(row: dict[str, Any]) -> str:
    if row["off"] == 0:
        return "1"
    share = f"{1 - row['off'] / row['elements']:.6f}"
    return f"all but {row['off']}" if share == "1.000000" else share


def bits(counts: dict[str, Any]) -> dict[str, str]:
    """By method of the tool: the share of elements in each dtype, once where they are alike."""
    rows = {(r["method"], r["dtype"]): r for r in counts["rows"]}
    shares = {name: [_share(rows[name, d]) for d in DTYPES] for name in dict.fromkeys(m for m, _ in rows)}
    return {name: found[0] if len(set(found)) == 1 else ", ".join(found) for name, found in shares.items()}


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
    parts = [_HEAD, profiles, _BITS.format(tools=tools, elements=elements), _AFTER]
    parts += [*_adapters(), *confusion(bits(counts)), "\n## The methods\n"]
    for name in names():
        parts += _section(method(name))
    return "".join(parts)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
