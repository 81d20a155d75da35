"""How often next tokens tell a model's parent, and how often they single out one of two equal relatives.

    python scripts/cases/descent.py FOLDER --trials 40 --change 0.03

Children of a model are made by noise of equal size, different in each: a suspect, and two siblings of it.
The suspect descends from the model and from neither sibling, and no sibling is nearer by its making. Told
to be closer to a sibling than to the parent is wrong; told to be closer to one sibling than to the other
says nothing of descent, and is counted as such. Needs the extra transformers.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

from parentage.behaviour.distributions import closer_of, look_ahead
from parentage.behaviour.plan import asking_of
from parentage.behaviour.questions.reading import our_questions
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.absence import Absent
from parentage.records.interview import Answers, Closer, Respondent

LEVELS = (0.05, 0.01)
PARENT, ONE, OTHER = "the parent", "a sibling", "another sibling"


class Family:
    """One model in memory; children are made of it one at a time."""

    def __init__(self, folder: str, change: float) -> None:
        self._model, self._change = TransformersModel(folder), change
        self._who = asyncio.run(self._model.open())
        own = self._model.parameters()
        # Tied tensors are one.
        self._own = {t.data_ptr(): (t, t.clone()) for t in own.values()}

    def told(self, seed: int | None) -> Answers:
        """What the model itself (``None``) or a child tells after the neutral beginnings."""
        import torch

        for number, (tensor, kept) in enumerate(self._own.values()):
            tensor.copy_(kept)
            if seed is not None and kept.dim() > 1:
                drawn = torch.Generator().manual_seed(seed * 1000 + number)
                noise = torch.randn(kept.shape, generator=drawn)
                tensor.add_(noise, alpha=self._change * float(kept.std()))
        return self._answers(asyncio.run(look_ahead(self._model)))

    def _answers(self, tokens: Any) -> Answers:
        nothing = Absent("not asked")
        how = asking_of(our_questions(), (), samples=1, seed=0, temperature=1.0, max_tokens=1)
        who: Respondent = self._who
        return Answers("descent", how, who, nothing, (), (), tokens)


def trials(family: Family, count: int) -> Iterator[tuple[Closer, ...]]:
    """Of each trial the three pairs of its panel."""
    parent, seeds = family.told(None), itertools.count(1)
    for _ in range(count):
        suspect, one, other = (family.told(next(seeds)) for _ in range(3))
        yield closer_of([("suspect", suspect), (PARENT, parent), (ONE, one), (OTHER, other)])


def counted(found: list[tuple[Closer, ...]], level: float) -> Counter[str]:
    """What was said of each pair below a level after Holm's correction."""
    said: Counter[str] = Counter()
    for row in itertools.chain.from_iterable(found):
        pair = "parent" if PARENT in (row.first, row.second) else "siblings"
        if row.p_holm >= level:
            said[f"{pair}: left open"] += 1
        else:
            first = row.first_closer > row.second_closer
            said[f"{pair}: closer to {row.first if first else row.second}"] += 1
    return said


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--change", type=float, default=0.03, help="noise over a tensor's own spread")
    chosen = parser.parse_args()
    found = list(trials(Family(chosen.folder, chosen.change), chosen.trials))
    for level in LEVELS:
        said = counted(found, level)
        for pair in ("parent", "siblings"):
            total = sum(v for k, v in said.items() if k.startswith(pair))
            for what, times in sorted(said.items()):
                if what.startswith(pair):
                    low, high = clopper_pearson(times, total)
                    print(f"p < {level}: {what}: {times} of {total} ({low:.1%} to {high:.1%})")


if __name__ == "__main__":
    main()
