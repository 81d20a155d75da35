"""Next-token probabilities after neutral beginnings: which of the panel is the suspect closest to?

Where log-probabilities are offered, every target is given the same beginnings of plain sentences, as text
without a template. Only the most probable tokens are told, so a divergence is computed over a coarser
partition: the tokens that both told, and all others together. Coarsening never enlarges a divergence
(the data-processing inequality), so what is reported is a lower bound.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import combinations

import yaml
from scipy import special

from parentage.behaviour.targets import Target, Together, TokenScores
from parentage.numerics.shares.contingency import holm
from parentage.numerics.shares.intervals_binomial import wilson
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.interview import Answers, Closer, Distance, NextTokens

__all__ = [
    "LEAST_PROMPTS",
    "TOP",
    "closer_of",
    "coarse_divergence",
    "distances_of",
    "look_ahead",
    "neutral_prompts",
    "sign_test",
    "told_by",
]

# OpenAI's completions give five at most, llama.cpp and vLLM more; equal for all, so that bounds compare.
TOP = 5
LEAST_PROMPTS = 12
# Of the 48 beginnings llama.cpp's server told 45 of a fine-tune of SmolLM2: it tells nothing where the next
# token is a part of a letter. A language has six; who tells nothing of more in a row tells nothing.
MOST_UNTOLD = 7
# Of the mass that no token was told for; below, rounding of a server's is all that is left.
LEAST_REST = 1e-6
# What stands for a part of a letter in a decoded text.
PART = "\ufffd"


@cache
def neutral_prompts() -> tuple[tuple[str, str], ...]:
    """Id and text of each beginning, in a fixed order."""
    text = (files("parentage.behaviour.questions") / "neutral.yaml").read_text("utf-8")
    return tuple((p["id"], p["text"]) for p in yaml.load(text, Loader=yaml.SafeLoader)["prompts"])


async def look_ahead(target: Target) -> tuple[NextTokens, ...] | Absent:
    """Ask for every beginning; one that is not told has no tokens.

    Absent, with the reason, where ``MOST_UNTOLD`` in a row, or too many to compare by, are not told.
    """
    found: list[NextTokens] = []
    why, untold = Absent("no beginning was asked"), 0
    texts = [text for _, text in neutral_prompts()]
    at_once = await target.next_tokens_of(texts, TOP) if isinstance(target, Together) else None
    for number, (name, text) in enumerate(neutral_prompts()):
        told = await target.next_tokens(text, TOP) if at_once is None else at_once[number]
        untold = untold + 1 if isinstance(told, Absent) else 0
        if isinstance(told, Absent):
            why, told = told, TokenScores((), ())
        if untold == MOST_UNTOLD:
            return why
        found.append(NextTokens(name, told.tokens[:TOP], told.logprobs[:TOP]))
    return tuple(found) if sum(bool(n.tokens) for n in found) >= LEAST_PROMPTS else why


def coarse_divergence(first: TokenScores, second: TokenScores) -> float:
    """A lower bound of KL(first ‖ second) in nats, over the tokens that both told and the rest.

    Tokens are known by their text. Parts of letters have none that tells them apart, and runtimes write
    them in different ways (U+FFFD, nothing, what stands before the part): they count among the rest, and so
    does a text that a part may have.
    """
    p, q = _masses(first), _masses(second)
    parts = {token.replace(PART, "") for told in (first, second) for token in told.tokens if PART in token}
    shared = sorted((set(p) & set(q)) - parts)
    rest_p = max(LEAST_REST, 1 - math.fsum(p[t] for t in shared))
    rest_q = max(LEAST_REST, 1 - math.fsum(q[t] for t in shared))
    terms = [p[t] * math.log(p[t] / q[t]) for t in shared if p[t] > 0 and q[t] > 0]
    return max(0.0, math.fsum([*terms, rest_p * math.log(rest_p / rest_q)]))


def _masses(told: TokenScores) -> dict[str, float]:
    """Probabilities by text, of tokens that their text names alone."""
    counts = Counter(told.tokens)
    return {
        token: math.exp(min(0.0, logprob))
        for token, logprob in zip(told.tokens, told.logprobs, strict=True)
        if token and PART not in token and counts[token] == 1
    }


def told_by(answers: Answers) -> Mapping[str, TokenScores]:
    """What was told after each beginning; those of which nothing was told are left out."""
    if isinstance(answers.next_tokens, Absent):
        return {}
    return {n.prompt: TokenScores(n.tokens, n.logprobs) for n in answers.next_tokens if n.tokens}


def _divergences(suspect: Answers, other: Answers) -> dict[str, float]:
    ours, theirs = told_by(suspect), told_by(other)
    return {name: coarse_divergence(ours[name], theirs[name]) for name in ours if name in theirs}


def distances_of(found: Sequence[tuple[str, Answers]]) -> tuple[Distance, ...]:
    """The suspect (first) to each of the panel."""
    suspect = found[0][1]
    made = []
    for label, other in found[1:]:
        ours, theirs = told_by(suspect), told_by(other)
        both = [name for name in ours if name in theirs]
        if both:
            same = sum(ours[n].tokens[0] == theirs[n].tokens[0] for n in both)
            low, high = wilson(same, len(both))
            mean = math.fsum(_divergences(suspect, other).values()) / len(both)
            made.append(Distance(label, len(both), same, Estimate(same / len(both), low, high), mean))
    return tuple(made)


def sign_test(first: int, second: int) -> float:
    """Two-sided p that neither is usually smaller, of so many prompts each way; ties left out."""
    n, k = first + second, min(first, second)
    if n == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(k, n, 0.5)))


def closer_of(found: Sequence[tuple[str, Answers]]) -> tuple[Closer, ...]:
    """Each two of the panel: to which is the suspect closer, prompt by prompt; Holm over all pairs."""
    suspect = found[0][1]
    measured = [(label, _divergences(suspect, other)) for label, other in found[1:]]
    rows = []
    for (one, first), (two, second) in combinations(measured, 2):
        both = [n for n in first if n in second]
        if len(both) >= LEAST_PROMPTS:
            ahead, behind = (sum(a[n] < b[n] for n in both) for a, b in ((first, second), (second, first)))
            rows.append((one, two, ahead, behind, len(both), sign_test(ahead, behind)))
    corrected = holm([r[-1] for r in rows])
    return tuple(Closer(*row, p) for row, p in zip(rows, corrected, strict=True))
