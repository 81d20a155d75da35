"""How often next tokens tell a trained child's parent, on bases and children that are trained here.

    python scripts/cases/descent_trained.py WORK [--json FILE]

Four bases of three sizes (0.1 to 0.7 million weights) are trained from different beginnings on one half of
Python's own reference with ``parentage train sft``; of each, children are trained on other texts, in five
doses. The panel of a child: its base, another base, and two siblings of its dose that were trained on
other texts; apart from these, a twin that was trained on the same texts from another seed. Told to be
closer to another base or to a sibling than to its own base is wrong. Needs the extra training. Some ten
minutes; what is made lies in WORK, so that a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from examples.affair.data import rows
from examples.affair.tiny_base import reference, tokenizer_for

from parentage.behaviour.distributions import closer_of, look_ahead
from parentage.behaviour.plan import asking_of
from parentage.behaviour.questions.reading import our_questions
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.absence import Absent
from parentage.records.interview import Answers, Closer
from parentage.training.settings import Course, Keeping, Optimizer
from parentage.training.sft import SftSettings, train_sft

LEVEL = 0.01
# Width, layers. Two bases of one size differ in their beginning and in the order of their texts alone.
SHAPES = ((64, 2), (64, 2), (96, 2), (128, 3))
# Steps and peak rate. A hundred gentle steps move a child some hundredths of what divides two bases of one
# recipe, as fine-tunes of large models are moved; the others as far as that and further.
DOSES = {
    "20 gentle steps": (20, 5e-5),
    "100 gentle steps": (100, 5e-5),
    "20 steps": (20, 5e-4),
    "100 steps": (100, 5e-4),
    "400 steps": (400, 5e-4),
}
PASSAGE = 320


@dataclass(frozen=True)
class Child:
    """What a child was trained on, how long, from which seed."""

    base: int
    data: str
    dose: str
    seed: int = 0

    @property
    def name(self) -> str:
        dose = self.dose.removesuffix(" steps").replace(" ", "-")
        return f"base-{self.base}-{self.data}-{dose}-{self.seed}"


def texts() -> dict[str, list[dict[str, Any]]]:
    """Passages of the reference, and chats in eight languages, by the name of a file of data."""
    whole = reference()
    passages = [{"text": whole[k : k + PASSAGE]} for k in range(0, len(whole), PASSAGE)]
    chats, others = rows(), passages[1::2]
    found = {f"text-{k}": others[k::3] for k in range(3)}
    return {"base": passages[::2] + chats["base"], **found, "chats": chats["nex"]}


def _begun(folder: Path, number: int, tokenizer: Any) -> None:
    """A model of random numbers."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    width, layers = SHAPES[number]
    torch.manual_seed(number)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=3 * width, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=0, eos_token_id=tokenizer.eos_token_id, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _trained(model: Path, data: Path, out: Path, steps: int, rate: float, seed: int) -> Path:
    if not out.exists():
        optimizer = Optimizer(steps=steps, rate=rate, warmup=steps // 10, batch=8)
        course = Course(optimizer, keeping=Keeping(save_every=0), max_length=96, seed=seed)
        train_sft(SftSettings(str(model), data, out, course, all_tokens=True))
    return out


def make_all(work: Path) -> list[Child]:
    """Train what is not there yet."""
    made = texts()
    work.mkdir(parents=True, exist_ok=True)
    for name, lines in made.items():
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (work / f"{name}.jsonl").write_text(text, encoding="utf-8")
    tokenizer = tokenizer_for([json.dumps(line, ensure_ascii=False) for line in made["base"]])
    data = [name for name in made if name != "base"]
    children = []
    for number in range(len(SHAPES)):
        if not (work / f"begun-{number}").exists():
            _begun(work / f"begun-{number}", number, tokenizer)
        base = work / f"base-{number}"
        _trained(work / f"begun-{number}", work / "base.jsonl", base, 600, 4e-3, number)
        wanted = [Child(number, d, dose) for dose in DOSES for d in data]
        wanted += [Child(number, data[0], dose, 1) for dose in DOSES]
        for child in wanted:
            place = work / child.name
            _trained(base, work / f"{child.data}.jsonl", place, *DOSES[child.dose], child.seed)
        children += wanted
        print(f"base {number} and {len(wanted)} children are there", flush=True)
    return children


def told(folder: Path) -> Answers:
    """What a model says next after the neutral beginnings."""

    async def ask() -> Answers:
        model = TransformersModel(str(folder))
        who = await model.open()
        how = asking_of(our_questions(), (), samples=1, seed=0, temperature=1.0, max_tokens=1)
        tokens = await look_ahead(model)
        await model.close()
        return Answers("descent", how, who, Absent("not asked"), (), (), tokens)

    return asyncio.run(ask())


def trials(work: Path, children: Sequence[Child]) -> Iterator[tuple[Child, tuple[Closer, ...]]]:
    """Of each child the pairs of its panel; every child but the twins is a suspect once."""
    said = {c: told(work / c.name) for c in children}
    bases = [told(work / f"base-{k}") for k in range(len(SHAPES))]
    for child in (c for c in children if not c.seed):
        alike = [c for c in children if (c.base, c.dose) == (child.base, child.dose) and c != child]
        siblings = [c for c in alike if c.data != child.data and not c.seed][:2]
        twins = [c for c in alike if c.data == child.data]
        # The next base of its size or of the next.
        other = child.base ^ 1
        panel = [("its base", bases[child.base]), ("another base", bases[other])]
        panel += [(f"a sibling {k}", said[c]) for k, c in enumerate(siblings)]
        yield child, closer_of([("suspect", said[child]), *panel])
        for twin in twins:
            pair = [("its base", bases[child.base]), ("a twin", said[twin])]
            yield child, closer_of([("suspect", said[child]), *pair])


def rows_of(found: Sequence[tuple[Child, tuple[Closer, ...]]]) -> list[dict[str, Any]]:
    """Every pair of every panel: the suspect's dose, the two, beginnings closer to each, p after Holm."""
    return [
        {
            "suspect": child.name, "dose": child.dose, "pair": [_plain(r.first), _plain(r.second)],
            "closer": [r.first_closer, r.second_closer], "of": r.prompts, "p": float(f"{r.p_holm:.2g}"),
        }
        for child, pairs in found
        for r in pairs
    ]  # fmt: skip


def _plain(name: str) -> str:
    return name.rstrip(" 01")


def told_of(rows: Sequence[dict[str, Any]]) -> Counter[tuple[str, str, str]]:
    """(dose, pair, what was said of it) below the level."""
    said: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        near = row["pair"][0 if row["closer"][0] > row["closer"][1] else 1]
        what = "left open" if row["p"] >= LEVEL else f"closer to {near}"
        said[row["dose"], " or ".join(row["pair"]), what] += 1
    return said


def main() -> None:
    """Train, ask, count, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    rows = rows_of(list(trials(chosen.work, make_all(chosen.work))))
    if chosen.json is not None:
        text = ",\n".join(json.dumps(row) for row in rows)
        chosen.json.write_text(f"[\n{text}\n]\n", encoding="utf-8")
    said = told_of(rows)
    for (dose, pair, what), times in sorted(said.items()):
        total = sum(n for (d, k, _), n in said.items() if (d, k) == (dose, pair))
        low, high = clopper_pearson(times, total)
        print(f"{dose}: {pair}: {what}: {times} of {total} ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
