"""Scores: the card's beside measured ones, and the whole table between two models.

Scores accuse nobody: a merge's tend to lie between its parents', and so do those of many a fine-tune.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import numpy as np

from parentage.cards.claims.sentences import short_name
from parentage.numerics.published.score_lines import LineFit, binomial_error, fit_line
from parentage.records.absence import Absent
from parentage.records.card import Claim, Score
from parentage.records.card_report import PlacedScore, ScoreLine
from parentage.records.estimate import Estimate
from parentage.verdicts.beside.disclosure import names_of_path
from parentage.verdicts.cards.facts import Facts, Ruling

__all__ = ["score_lines", "weigh_score"]

# Items in the public test sets, of which a score's binomial error follows.
ITEMS: Final[Mapping[str, int]] = {
    "mmlu": 14_042, "gsm8k": 1_319, "hellaswag": 10_042, "arc-c": 1_172, "arc-challenge": 1_172,
    "truthfulqa": 817, "winogrande": 1_267, "math": 5_000, "math-500": 500, "humaneval": 164, "mbpp": 500,
    "gpqa diamond": 198, "ifeval": 541, "bbh": 6_511, "aime24": 30, "aime25": 30, "aime 2024": 30,
    "aime 2025": 30, "aime 2026": 30,
}  # fmt: skip
UNKNOWN_ITEMS: Final = 1_000
MOST_LINES: Final = 6
FEWEST: Final = 3
# A log-likelihood ratio that is called better: e³ is 20 to 1.
BETTER: Final = 3.0
ASSUMPTIONS: Final = (
    "Each score's standard error is the printed one, else binomial over the test's items "
    f"({UNKNOWN_ITEMS:,} where their number is not known here); benchmarks count as independent.",
    "Improvement means one mean gain over the second model, with a spread of its own from benchmark to "
    "benchmark; the line means one place between the two, with such a spread too.",
    "Scores by different harnesses and prompts differ by more than their errors.",
    "A table says nothing of weights: fine-tunes in a parent's direction lie between as well.",
)
Table = dict[str, tuple[float, float]]


def weigh_score(claim: Claim, facts: Facts) -> Ruling:
    """A score of the card's beside one that others measured."""
    benchmark, _, text = claim.value.rpartition("=")
    measured = _own(facts.scores, facts)
    if benchmark.casefold() not in measured:
        return Ruling("untested", "the benchmark was not run here; no measured score was given (--scores)")
    value, error = measured[benchmark.casefold()]
    said = float(text)
    apart = abs(said - value) / (np.sqrt(2.0) * error)
    reason = f"measured by others: {value:g} (standard error {error:.2g}), {apart:.1f} standard errors away"
    if apart <= 2:
        return Ruling("supported", reason, ("scores",))
    return Ruling("undetermined", f"{reason}; harness, prompt and sampling move scores too", ("scores",))


def score_lines(facts: Facts) -> tuple[ScoreLine, ...]:
    """One line for each model beside a base, for those with at least three benchmarks in common."""
    own = _own(facts.scores, facts) or _own(facts.reading.scores, facts)
    tables = _others(facts)
    found = (_line(own, pair, tables) for pair in _pairs(facts, tables))
    return tuple(islice((line for line in found if line is not None), MOST_LINES))


def _pairs(facts: Facts, tables: Mapping[str, tuple[str, Table]]) -> Iterator[tuple[str, str]]:
    """(first, second): the parents of the verdict; else every model beside a base that the card names."""
    parents = [facts.shown(p) for p in facts.verdict_parents()]
    named = [short_name(p) for p in parents]
    if len(named) == 2 and all(n in tables for n in named):
        yield named[0], named[1]
        return
    for base in dict.fromkeys(short_name(b) for b in facts.reading.values("base-model")):
        if base in tables:
            yield from ((name, base) for name in tables if name != base)


def _own_names(facts: Facts) -> set[str]:
    """Short names that rows of the model itself may bear: no name, the card's, and those of its place, for
    a folder's name may be all that is known; but for that of the base, which a copy's folder may bear."""
    name, places = facts.reading.name, [facts.reading.locator]
    if not isinstance(facts.report, Absent):
        places.append(facts.shown(facts.report.suspect.locator))
    bases = {short_name(b) for b in facts.reading.values("base-model")}
    found = {n for place in places for n in names_of_path(place)} - bases
    return found | {"", short_name(name) if isinstance(name, str) else ""}


def _own(scores: Sequence[Score], facts: Facts) -> Table:
    names = _own_names(facts)
    return _table(s for s in scores if s.own or short_name(s.model) in names)


def _others(facts: Facts) -> dict[str, tuple[str, Table]]:
    """By short name: the name as written, and the scores; cards of parents first, measured ones last.

    The model itself is none of them: it lies on no line with itself.
    """
    own = _own_names(facts)
    found: dict[str, tuple[str, Table]] = {}
    listed = [(p.name, p.reading.scores) for p in facts.parents if not isinstance(p.reading, Absent)]
    for name, scores in listed:
        found[short_name(name)] = (name, _table(s for s in scores if s.own))
    for score in (*facts.reading.scores, *facts.scores):
        if not score.own and short_name(score.model) not in own:
            name, table = found.setdefault(short_name(score.model), (score.model, {}))
            table.update(_table([score]))
    return found


def _table(scores: Iterator[Score] | Sequence[Score]) -> Table:
    return {s.benchmark.casefold(): (s.value, _error(s)) for s in scores}


def _error(score: Score) -> float:
    if isinstance(score.error, float) and score.error > 0:
        return score.error
    items = ITEMS.get(score.benchmark.casefold(), UNKNOWN_ITEMS)
    share = 0 <= score.value <= 1
    percent = min(max(100.0 * score.value if share else score.value, 0.0), 100.0)
    return binomial_error(percent, items) / (100.0 if share else 1.0)


def _line(own: Table, pair: tuple[str, str], tables: Mapping[str, tuple[str, Table]]) -> ScoreLine | None:
    (first, a), (second, b) = tables[pair[0]], tables[pair[1]]
    common = [name for name in own if name in a and name in b]
    if len(common) < FEWEST:
        return None
    errors = np.array([max(own[n][1], a[n][1], b[n][1]) for n in common])
    c, x, y = (np.array([t[n][0] for n in common]) for t in (own, a, b))
    placed = tuple(
        _placed(n, own[n][0], a[n][0], b[n][0], float(e)) for n, e in zip(common, errors, strict=True)
    )
    try:
        fit = fit_line(suspect=c, first=x, second=y, errors=errors)
    except ValueError as problem:
        reason = Absent(str(problem))
        return ScoreLine(
            first, second, placed, reason, reason, f"{first} and {second} score alike.", ASSUMPTIONS
        )
    weight = Estimate(fit.weight, fit.low, fit.high)
    return ScoreLine(
        first, second, placed, weight, fit.log_ratio, _sentence(first, second, placed, fit), ASSUMPTIONS
    )


def _placed(benchmark: str, own: float, first: float, second: float, error: float) -> PlacedScore:
    between = min(first, second) <= own <= max(first, second)
    apart = abs(first - second) > 2 * error
    place = (own - second) / (first - second) if apart else Absent("the two models score alike here")
    return PlacedScore(benchmark, own, first, second, error, place, between)


def _sentence(first: str, second: str, placed: Sequence[PlacedScore], fit: LineFit) -> str:
    inside = sum(p.between for p in placed)
    ratio = fit.log_ratio
    better = "the line" if ratio > BETTER else "improvement" if ratio < -BETTER else "neither"
    told = f"{inside} of {len(placed)} scores lie between those of {first} and {second}"
    return (
        f"{told}; on the line the table sits at {fit.weight:.2f} of {first} ({fit.low:.2f} to "
        f"{fit.high:.2f}), and {better} explains it better (log-likelihood ratio {ratio:.1f} for the line)."
    )
