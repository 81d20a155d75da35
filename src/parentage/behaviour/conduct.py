"""Conducting an interview: the plan, asked of one target, kept as it comes, gone on with after a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from parentage import __version__
from parentage.behaviour.answers_file import Journal
from parentage.behaviour.distributions import look_ahead
from parentage.behaviour.plan import Asked, plan
from parentage.behaviour.questions.reading import Question
from parentage.behaviour.recital import OPENING, score_passages
from parentage.behaviour.targets import Ask, Reply, Target, Together
from parentage.behaviour.templates.rendering import read_hidden_prompt, render_prompts
from parentage.behaviour.templates.sources import ChatTemplate
from parentage.records.absence import Absent
from parentage.records.interview import (
    Ability,
    Answer,
    Answers,
    Asking,
    HiddenPrompt,
    PassageScore,
    Respondent,
)

__all__ = ["MOST_IN_A_ROW", "Conduct", "Spent", "conduct"]

# A target that fails so often in a row is not asked further: nobody waits hours for "busy".
MOST_IN_A_ROW = 12
THINKS = "<think>"
Heard = Callable[["Spent"], None]


@dataclass(frozen=True, slots=True)
class Spent:
    """What an interview has cost so far, and what it may cost in all."""

    answers: int
    planned: int
    failed: int
    tokens_in: int
    tokens_out: int


@dataclass(frozen=True, slots=True)
class Conduct:
    """How to interview one target."""

    asking: Asking
    questions: tuple[Question, ...]
    template: ChatTemplate | None
    why_no_template: str
    journal: Journal | None
    passages: tuple[str, ...] = ()
    heard: Heard = lambda spent: None


async def conduct(target: Target, how: Conduct) -> Answers:
    """Open the target, ask all, and give every answer in the plan's order. Raises ``ParentageError``."""
    respondent = await target.open()
    hidden: HiddenPrompt | Absent = Absent(how.why_no_template)
    if how.template is not None:
        hidden = read_hidden_prompt(how.template)
    left_out = _left_out(how.asking, respondent, hidden)
    usable = tuple(c for c in how.asking.conditions if c not in left_out)
    by_prompt = _renders_here(respondent)
    prefills = tuple(c for c in usable if by_prompt or c in ("stripped", "raw"))
    asked = plan(replace(how.asking, conditions=usable), how.questions, prefills)
    prompts = _prompts(asked, how.template, by_prompt)
    reasons = tuple(f"{c}: {why}" for c, why in left_out.items())
    found = Answers(f"parentage {__version__}", how.asking, respondent, hidden, reasons, ())
    kept = how.journal.start(found) if how.journal is not None else ()
    try:
        answers = await _Asking(target, how, asked, prompts, kept).run()
    finally:
        if how.journal is not None:
            how.journal.close()
    found = replace(
        found,
        answers=tuple(sorted(answers, key=lambda a: a.number)),
        next_tokens=await look_ahead(target),
        passages=await _passages(target, how),
    )
    if how.journal is not None:
        how.journal.finish(found)
    return found


async def _passages(target: Target, how: Conduct) -> tuple[PassageScore, ...] | Absent:
    """Scored as answers to one plain question, between turn markers alone where there are any."""
    if not how.passages:
        return Absent("no published text was given")
    if how.template is None:
        return Absent(how.why_no_template)
    (prompt,) = render_prompts(how.template, [("raw", [{"role": "user", "content": OPENING}])])
    return prompt if isinstance(prompt, Absent) else await score_passages(target, how.passages, prompt)


def _renders_here(respondent: Respondent) -> bool:
    """Whether even the shipped template is rendered by us: a local model takes text only."""
    return respondent.kind != "endpoint"


def _left_out(asking: Asking, respondent: Respondent, hidden: HiddenPrompt | Absent) -> dict[str, str]:
    offered = {a.name: a for a in respondent.abilities}
    found: dict[str, str] = {}
    for condition in asking.conditions:
        why = _why_not(condition, offered, respondent, hidden)
        if why:
            found[condition] = why
    return found


def _why_not(
    condition: str, offered: dict[str, Ability], respondent: Respondent, hidden: HiddenPrompt | Absent
) -> str:
    if condition in ("shipped", "empty-system") and not _renders_here(respondent):
        ability = offered["chat" if condition == "shipped" else "empty-system"]
        return "" if ability.offered else f"not offered: {ability.finding}"
    if isinstance(hidden, Absent):
        return f"the chat template is not known: {hidden.reason}"
    completions = offered.get("completions")
    if completions is not None and not completions.offered:
        return f"raw prompts are not taken: {completions.finding}"
    if condition == "raw" and isinstance(hidden.raw, Absent):
        return hidden.raw.reason
    return ""


def _prompts(
    asked: Sequence[Asked], template: ChatTemplate | None, by_prompt: bool
) -> dict[int, str | Absent]:
    """The rendered prompt of each sample that is asked as text; each different one is rendered once."""
    texts = [a for a in asked if by_prompt or a.condition in ("stripped", "raw")]
    if template is None or not texts:
        return {}
    keys = dict.fromkeys((a.condition, a.question.id) for a in texts)
    questions = {a.question.id: a.question for a in texts}
    wanted = [_rendering(condition, questions[name]) for condition, name in keys]
    rendered = dict(zip(keys, render_prompts(template, wanted), strict=True))
    return {a.number: rendered[a.condition, a.question.id] for a in texts}


def _rendering(condition: str, question: Question) -> tuple[str, list[dict[str, str]]]:
    if condition == "empty-system":
        return "shipped", [{"role": "system", "content": ""}, *question.messages]
    return condition, question.messages


class _Asking:
    """One run through a plan, a bounded number of requests at a time."""

    def __init__(
        self,
        target: Target,
        how: Conduct,
        asked: Sequence[Asked],
        prompts: dict[int, str | Absent],
        kept: Sequence[Answer],
    ) -> None:
        self._target, self._how, self._prompts = target, how, prompts
        planned = {a.number for a in asked}
        self._answers = {a.number: a for a in kept if a.number in planned}
        self._asked = tuple(asked)
        self._waiting = [a for a in asked if a.number not in self._answers]
        self._planned = len(asked)
        self._in_a_row = 0
        self._failed = 0

    async def run(self) -> list[Answer]:
        if isinstance(self._target, Together):
            await self._in_groups(self._target)
        else:
            self._waiting.reverse()
            await asyncio.gather(*(self._work() for _ in range(max(1, self._target.concurrency))))
        for asked in self._waiting:
            why = Absent(f"not asked: {MOST_IN_A_ROW} askings in a row had failed")
            self._answers[asked.number] = _answer(asked, why)
        return list(self._answers.values())

    async def _in_groups(self, target: Together) -> None:
        """Groups are the plan's own, whatever of them is answered already: a run that was stopped and goes
        on gives the answers that it would have given at once."""
        for start in range(0, len(self._asked), target.together):
            group = self._asked[start : start + target.together]
            wanted = {a.number for a in group} - set(self._answers)
            if not wanted or self._in_a_row >= MOST_IN_A_ROW:
                continue
            asks = [self._ask(a) for a in group]
            replies = iter(await target.ask_together([a for a in asks if isinstance(a, Ask)]))
            for asked, ask in zip(group, asks, strict=True):
                reply = Reply(ask) if isinstance(ask, Absent) else next(replies)
                if asked.number in wanted:
                    self._keep(asked, reply)
        self._waiting = [a for a in self._waiting if a.number not in self._answers]

    async def _work(self) -> None:
        while self._waiting and self._in_a_row < MOST_IN_A_ROW:
            asked = self._waiting.pop()
            ask = self._ask(asked)
            reply = Reply(ask) if isinstance(ask, Absent) else await self._target.ask(ask)
            self._keep(asked, reply)

    def _keep(self, asked: Asked, reply: Reply) -> None:
        answer = self._answers[asked.number] = self._read(asked, reply)
        if isinstance(answer.text, Absent):
            self._failed += 1
            self._in_a_row += 1
        else:
            self._in_a_row = 0
            if self._how.journal is not None:
                self._how.journal.add(answer)
        self._how.heard(self._spent())

    def _ask(self, asked: Asked) -> Ask | Absent:
        prompt = self._prompts.get(asked.number)
        if isinstance(prompt, Absent):
            return Absent(f"the prompt could not be made: {prompt.reason}")
        messages = asked.question.messages
        if asked.condition == "empty-system":
            messages = [{"role": "system", "content": ""}, *messages]
        asking = self._how.asking
        return Ask(tuple(messages), prompt, asking.temperature, asking.max_tokens, asked.seed)

    def _read(self, asked: Asked, reply: Reply) -> Answer:
        prompt = self._prompts.get(asked.number)
        found = _answer(asked, reply.text)
        if isinstance(prompt, str) and prompt.rstrip().endswith(THINKS):
            # What follows is thought until it says that it ends.
            found = replace(found, begun=THINKS)
        return replace(
            found,
            finish=reply.finish,
            clipped=reply.clipped,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
        )

    def _spent(self) -> Spent:
        there = self._answers.values()
        return Spent(
            len(there),
            self._planned,
            self._failed,
            sum(a.tokens_in for a in there if isinstance(a.tokens_in, int)),
            sum(a.tokens_out for a in there if isinstance(a.tokens_out, int)),
        )


def _answer(asked: Asked, text: str | Absent) -> Answer:
    unknown = Absent("not counted by the target")
    return Answer(
        asked.number,
        asked.condition,
        asked.question.id,
        asked.question.language,
        asked.question.style,
        asked.repeat,
        asked.seed,
        asked.question.begun,
        text,
        "",
        False,
        unknown,
        unknown,
    )
