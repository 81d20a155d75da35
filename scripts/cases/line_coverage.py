"""How often the place of a merge on the line between its parents is told rightly, on planted merges.

    python scripts/cases/line_coverage.py WORK [--json FILE] [--unmerged]

WORK is what ``descent_trained.py`` made: bases and children that were trained here. Of each base six pairs
of parents in bfloat16: a child of each dose beside its base, two children, and two pairs brought to a
tenth and a thirtieth of their difference, so that most numbers are a step of bfloat16 apart. Of each merges
of two shares, stored in bfloat16, and the first of them trained on for 20 and for 100 steps. Each is placed
three ways: run by transformers, as a GGUF file in Q8_0 run by llama.cpp, and the same as though it stood
behind an endpoint with both parents beside it. ``--unmerged``: models that are no
merge of a pair instead, run by transformers: two siblings and another base. Needs the extras transformers,
training and llama.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scripts.cases.tiny_gguf import write_gguf

from parentage.behaviour.distributions import TOP, neutral_prompts
from parentage.behaviour.endpoints.client import Limits
from parentage.behaviour.endpoints.endpoint import Endpoint
from parentage.behaviour.line.blends import Told
from parentage.behaviour.line.gguf_blends import GgufBlends
from parentage.behaviour.line.looking import Points, placed, points_for
from parentage.behaviour.line.placing import WEIGHTS
from parentage.behaviour.plan import asking_of
from parentage.behaviour.questions.reading import our_questions
from parentage.behaviour.runtimes.llama_server import serve
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.absence import Absent
from parentage.records.interview import Ability, Answers, Line, NextTokens, Respondent
from parentage.training.settings import Course, Keeping, Optimizer
from parentage.training.sft import SftSettings, train_sft

BASES = 4
# (first, second, how much of their difference is kept)
PAIRS = (
    ("text-0-20-0", "", 1.0),
    ("text-1-100-0", "", 1.0),
    ("chats-400-0", "", 1.0),
    ("text-0-400-0", "text-1-400-0", 1.0),
    ("text-2-100-0", "", 0.1),
    ("chats-100-0", "", 1 / 30),
)
TEXTS = [text for _, text in neutral_prompts()]
NAMES = [name for name, _ in neutral_prompts()]
WAYS = ("transformers", "llama.cpp", "endpoint")


@dataclass(frozen=True)
class Placed:
    """One suspect on its line: how it was run, its share, steps of training afterwards, what was told."""

    pair: str
    way: str
    share: float
    later: int
    told: float | None
    low: float | None
    high: float | None
    nearest: float
    off: float


def blend(first: Path, second: Path, share: float, out: Path) -> Path:
    """A merge in bfloat16, made in float32."""
    import torch
    from safetensors.torch import load_file, save_file

    if not out.exists():
        a, b = (load_file(p / "model.safetensors") for p in (first, second))
        shutil.copytree(
            first, out, ignore=shutil.ignore_patterns("checkpoints", "t*.json", "*.safetensors")
        )
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(first / name, out / name)
        made = {n: (share * a[n].float() + (1 - share) * b[n].float()).to(torch.bfloat16) for n in a}
        save_file(made, out / "model.safetensors", {"format": "pt"})
    return out


def later(model: Path, data: Path, steps: int) -> Path:
    """Trained on."""
    out = model.with_name(f"{model.name}-later-{steps}")
    if not out.exists():
        optimizer = Optimizer(steps=steps, rate=2e-4, warmup=steps // 10, batch=8)
        course = Course(optimizer, keeping=Keeping(save_every=0), max_length=96, seed=1)
        train_sft(SftSettings(str(model), data, out, course, all_tokens=True))
    return out


def _answers(told: Told, kind: str, locator: str) -> Answers:
    how = asking_of(our_questions(), (), samples=1, seed=0, temperature=1.0, max_tokens=1)
    said = [
        NextTokens(
            name, () if isinstance(t, Absent) else t.tokens, () if isinstance(t, Absent) else t.logprobs
        )
        for name, t in zip(NAMES, told, strict=True)
    ]
    who = Respondent(locator, kind, locator, ())
    return Answers("coverage", how, who, Absent("not asked"), (), (), tuple(said))


async def by_llama(path: str) -> Told:
    """In this process, which spares starting one for each of hundreds of small files."""
    server = serve(path, 512, 1)
    endpoint = Endpoint(f"{server.listening_address}/v1", "x", None, Limits(concurrency=1, proxied=False))
    endpoint._offers["logprobs"] = Ability("logprobs", True, "")
    try:
        return [await endpoint.next_tokens(text, TOP) for text in TEXTS]
    finally:
        await endpoint.close()
        del server


class Here(GgufBlends):
    """Points of a line, run in this process."""

    async def ask(self, file: str, texts: Sequence[str]) -> Told:
        return await by_llama(file)


async def by_transformers(folder: Path) -> Answers:
    model = TransformersModel(str(folder))
    await model.open()
    told = await model.next_tokens_of(TEXTS, TOP)
    await model.close()
    return _answers(told, "transformers", str(folder))


async def as_file(folder: Path) -> Answers:
    path = folder / "model.gguf"
    if not path.exists():
        write_gguf(folder, path)
    return _answers(await by_llama(str(path)), "gguf", str(path))


async def along_files(suspect: str, first: Path, second: Path) -> Points:
    blends = Here(suspect, str(first), str(second))
    why = await blends.open()
    assert why is None, why
    told = [await blends.at(w, TEXTS) for w in WEIGHTS]
    await blends.close()
    return Points(blends.how, True, WEIGHTS, told, [Absent("not asked")] * len(WEIGHTS))


def _row(pair: str, way: str, share: float, steps: int, line: Line | Absent) -> Placed:
    assert isinstance(line, Line), line
    at = None if isinstance(line.weight, Absent) else line.weight
    assert not isinstance(line.nearest, Absent)
    off = float("inf") if isinstance(line.off, Absent) else line.off
    ends = (None, None, None) if at is None else (at.estimate, at.low, at.high)
    return Placed(pair, way, share, steps, *ends, line.nearest, off)


async def of_pair(work: Path, base: int, number: int) -> list[Placed]:
    """All suspects of one pair of parents."""
    first, second, kept = PAIRS[number]
    folder = work / "line" / f"{base}-{number}"
    folder.mkdir(parents=True, exist_ok=True)
    root = work / f"base-{base}"
    own, other = work / f"base-{base}-{first}", work / f"base-{base}-{second}" if second else root
    b = blend(other, other, 1.0, folder / "second")
    a = blend(own, other, kept, folder / "first")
    rng = random.Random(f"{base}-{number}")
    shares = sorted(round(rng.uniform(0.05, 0.95), 3) for _ in range(2))
    made = [(s, 0, blend(a, b, s, folder / f"merge-{s}")) for s in shares]
    made += [(shares[0], n, later(made[0][2], work / "text-2.jsonl", n)) for n in (20, 100)]
    pair = f"base-{base}: {first} and {second or 'its base'}, {kept:.3g} of their difference"
    suspects = [(s, n, await by_transformers(p), await as_file(p)) for s, n, p in made]
    ends = ("panel-1", await as_file(a)), ("panel-2", await as_file(b))
    alike = await points_for(suspects[0][2], str(a), str(b))
    files = await along_files(suspects[0][3].respondent.locator, a, b)
    asked = replace(suspects[0][3], respondent=Respondent("http://127.0.0.1", "endpoint", "x", ()))
    afar = await points_for(asked, str(a), str(b), beyond=True)
    names = str(a), str(b)
    found = []
    for share, steps, plain, file in suspects:
        found.append(_row(pair, WAYS[0], share, steps, placed(plain, *names, alike, None)))
        found.append(_row(pair, WAYS[1], share, steps, placed(file, *names, files, None)))
        found.append(_row(pair, WAYS[2], share, steps, placed(file, *names, afar, ends)))
    return found


async def unmerged(work: Path, base: int, number: int) -> list[dict[str, Any]]:
    """Models of the same kind that are no merge of a pair, on the pair's line."""
    first, second, _ = PAIRS[number]
    folder = work / "line" / f"{base}-{number}"
    names = [
        n
        for n in ("text-1-20-0", "chats-100-0", "text-2-400-0", "text-0-100-0")
        if n not in (first, second)
    ]
    others = [work / f"base-{base}-{n}" for n in names[:2]] + [work / f"base-{base ^ 1}"]
    stored = [blend(o, o, 1.0, work / "line" / f"plain-{o.name}") for o in others]
    suspects = [await by_transformers(p) for p in stored]
    ends = str(folder / "first"), str(folder / "second")
    points, found = None, []
    for other, said in zip(others, suspects, strict=True):
        points = points or await points_for(said, *ends)
        row = asdict(_row(f"{base}-{number}", WAYS[0], 0.0, 0, placed(said, *ends, points, None)))
        kept = {k: row[k] for k in ("pair", "told", "low", "high", "nearest", "off")}
        found.append({"suspect": other.name, **kept})
    return found


def told_of(found: Sequence[Placed]) -> Iterator[str]:
    """Coverage by way and by what was done after the merge."""
    for way in WAYS:
        for steps in (0, 20, 100):
            rows = [p for p in found if (p.way, p.later) == (way, steps)]
            placed_ = [p for p in rows if p.low is not None and p.high is not None]
            right = sum(
                p.low <= p.share <= p.high for p in placed_ if p.low is not None and p.high is not None
            )
            low, high = clopper_pearson(right, len(placed_)) if placed_ else (0.0, 1.0)
            wide = sorted(p.high - p.low for p in placed_ if p.low is not None and p.high is not None)
            yield (
                f"{way}, {steps} steps after: {len(placed_)} of {len(rows)} placed, {right} rightly "
                f"({low:.1%} to {high:.1%}), width {wide[len(wide) // 2] if wide else float('nan'):.3f}"
            )


def _write(path: Path | None, rows: Sequence[dict[str, Any]]) -> None:
    """One row a line, numbers to four places."""
    kept = [{k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()} for row in rows]
    if path is not None:
        path.write_text("[\n" + ",\n".join(map(json.dumps, kept)) + "\n]\n", encoding="utf-8")


def main() -> None:
    """Make, place, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--bases", type=int, default=BASES)
    parser.add_argument("--unmerged", action="store_true")
    chosen = parser.parse_args()
    if chosen.unmerged:
        pairs = [(b, n) for b in range(chosen.bases) for n in range(len(PAIRS))]
        rows = [r for b, n in pairs for r in asyncio.run(unmerged(chosen.work, b, n))]
        _write(chosen.json, rows)
        print(
            f"{sum(r['low'] is not None for r in rows)} of {len(rows)} that are no merge were given a place"
        )
        return
    found: list[Placed] = []
    for base in range(chosen.bases):
        for number in range(len(PAIRS)):
            found += asyncio.run(of_pair(chosen.work, base, number))
            for p in found[-12:]:
                print(p, flush=True)
    _write(chosen.json, [asdict(p) for p in found])
    print("\n".join(told_of(found)))


if __name__ == "__main__":
    main()
