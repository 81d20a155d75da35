"""Answers in groups: the plan's own, so that where a run stopped moves no answer."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import pytest

from parentage.behaviour.answers_file import Journal, load_answers
from parentage.behaviour.conduct import Conduct, conduct
from parentage.behaviour.distributions import neutral_prompts
from parentage.behaviour.plan import asking_of
from parentage.behaviour.questions.reading import our_questions
from parentage.behaviour.targets import Ask, Reply, Together, TokenScores
from parentage.behaviour.templates.sources import read_templates
from parentage.records.absence import Absent
from parentage.records.interview import Ability, Answer, Answers, Respondent
from tests.behaviour.templates import CHATML_RIO
from tests.behaviour.tiny_llama import save_tiny

has_torch = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra transformers"
)


class Chorus:
    """Answers with the seeds of all that were asked beside; ends after ``patience`` groups."""

    concurrency, together = 1, 5

    def __init__(self, patience: int = 10**6) -> None:
        self.patience = patience
        self.groups: list[int] = []

    async def open(self) -> Respondent:
        able = Ability("completions", True, "prompts are taken as text")
        return Respondent("chorus", "gguf", "chorus", (able,))

    async def ask(self, ask: Ask) -> Reply:
        return (await self.ask_together([ask]))[0]

    async def ask_together(self, asks: Sequence[Ask]) -> list[Reply]:
        if not self.patience:
            raise KeyboardInterrupt
        self.patience -= 1
        self.groups.append(len(asks))
        return [Reply(f"{a.seed} beside {sorted(b.seed for b in asks)}", "stop") for a in asks]

    async def next_tokens(self, prompt: str, top: int) -> TokenScores | Absent:
        return (await self.next_tokens_of([prompt], top))[0]

    async def next_tokens_of(self, prompts: Sequence[str], top: int) -> list[TokenScores | Absent]:
        return [TokenScores((p[:1], p[-1:]), (-0.5, -1.5)) for p in prompts]

    async def score(self, prompt: str, continuation: str) -> Sequence[float] | Absent:
        return Absent("not offered")

    async def close(self) -> None:
        return None


def _held(target: Chorus, template: str, out: Path, samples: int = 12) -> Answers:
    questions = our_questions()
    asking = asking_of(
        questions, ("shipped", "raw"), samples=samples, seed=3, temperature=1.0, max_tokens=4
    )
    how = Conduct(asking, questions, read_templates(template)[0], "", Journal(out))
    return asyncio.run(conduct(target, how))


def test_a_run_that_was_stopped_gives_the_answers_that_it_would_have_given_at_once(
    template: str, tmp_path: Path
) -> None:
    assert isinstance(Chorus(), Together)
    whole = Chorus()
    at_once = _held(whole, template, tmp_path / "a.jsonl")
    assert whole.groups == [5, 5, 5, 5, 4]
    with pytest.raises(KeyboardInterrupt):
        _held(Chorus(patience=2), template, tmp_path / "b.jsonl")
    partial = tmp_path / "b.jsonl.partial"
    # As a run that ended in the middle of a group left it.
    partial.write_text("".join(partial.read_text().splitlines(keepends=True)[:8]))
    again = Chorus()
    assert _held(again, template, tmp_path / "b.jsonl").answers == at_once.answers
    assert again.groups == [5, 5, 5, 4]
    assert load_answers(tmp_path / "b.jsonl").answers == at_once.answers


def test_all_beginnings_are_asked_at_once_and_keep_their_names(template: str, tmp_path: Path) -> None:
    told = _held(Chorus(), template, tmp_path / "a.jsonl", samples=1).next_tokens
    assert not isinstance(told, Absent)
    assert [(n.prompt, n.tokens) for n in told] == [(n, (t[:1], t[-1:])) for n, t in neutral_prompts()]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny")
    save_tiny(folder, CHATML_RIO)
    return str(folder)


def _asks(seeds: Sequence[int], temperature: float = 1.0) -> list[Ask]:
    prompts = ["<|im_start|> user Who are you ? <|im_end|>", "I am", "Rio not a model . you are Nex ?"]
    return [Ask((), prompts[s % 3], temperature, 12, s) for s in seeds]


def _replies(folder: str, groups: Sequence[Sequence[Ask]]) -> list[Reply]:
    from parentage.behaviour.runtimes.transformers_model import TransformersModel

    async def ask() -> list[Reply]:
        model = TransformersModel(folder)
        await model.open()
        found = [r for group in groups for r in await model.ask_together(group)]
        await model.close()
        return found

    return asyncio.run(ask())


@has_torch
def test_each_answer_of_a_batch_is_drawn_from_its_own_seed_whatever_stands_beside_it(tiny: str) -> None:
    asks = _asks(range(8))
    together, turned = _replies(tiny, [asks]), _replies(tiny, [asks[5:], asks[:5]])
    assert together == _replies(tiny, [[a] for a in asks]) == turned[3:] + turned[:3]
    assert len({r.text for r in _replies(tiny, [_asks(range(0, 24, 3))])}) > 4
    assert all(r.tokens_out == 12 or r.finish == "stop" for r in together)


@has_torch
def test_answers_are_drawn_from_the_model_s_own_distribution(tiny: str) -> None:
    """First tokens of 600 seeds against the probabilities that the model tells, by a chi-squared test."""
    from scipy import stats

    from parentage.behaviour.runtimes.transformers_model import TransformersModel

    async def look() -> tuple[TokenScores, list[str]]:
        model = TransformersModel(tiny)
        await model.open()
        told = await model.next_tokens("I am", 99)
        asks = [Ask((), "I am", 1.0, 1, seed) for seed in range(600)]
        drawn = [r.text for k in range(0, 600, 50) for r in await model.ask_together(asks[k : k + 50])]
        assert isinstance(told, TokenScores)
        return told, [str(d) for d in drawn]

    import numpy as np

    told, drawn = asyncio.run(look())
    chances = dict(zip(told.tokens, np.exp(told.logprobs), strict=True))
    plain = [t for t in told.tokens if not t.startswith("<")]
    counts = [drawn.count(t) for t in plain]
    expected = [600 * chances[t] for t in plain]
    rest = 600 - sum(counts), 600 - sum(expected)
    assert stats.chisquare([*counts, rest[0]], [*expected, rest[1]]).pvalue > 1e-3


def test_the_answers_of_a_group_are_numbered_as_the_plan_has_them(template: str, tmp_path: Path) -> None:
    found = _held(Chorus(), template, tmp_path / "a.jsonl").answers
    assert [a.number for a in found] == list(range(24))
    assert all(isinstance(a, Answer) and str(a.text).startswith(f"{a.seed} ") for a in found)
