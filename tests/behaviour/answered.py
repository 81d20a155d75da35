"""Files of answers as an interview keeps them, of models whose sayings are known: no model is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from parentage import __version__
from parentage.behaviour.answers_file import save_answers
from parentage.behaviour.plan import asking_of, plan
from parentage.behaviour.questions.reading import our_questions
from parentage.records.absence import Absent
from parentage.records.interview import Ability, Answer, Answers, HiddenPrompt, Respondent

__all__ = ["answered_twice", "answers_of"]

Says = Callable[[int], str]
NO_TEMPLATE = Absent("an endpoint does not show its template; name it with --template")


def answers_of(
    says: Mapping[str, Says],
    *,
    samples: int = 24,
    locator: str = "http://localhost:8080/v1",
    hidden: HiddenPrompt | Absent = NO_TEMPLATE,
) -> Answers:
    """Answers under the conditions of ``says``; each is given the number of its sample there."""
    questions = our_questions()
    asking = asking_of(questions, tuple(says), samples=samples, seed=0, temperature=1.0, max_tokens=160)
    asked = plan(asking, questions, ())
    return Answers(
        tool=f"parentage {__version__}",
        asking=asking,
        respondent=Respondent(locator, "endpoint", "the-model", (Ability("chat", True, "answers come"),)),
        hidden=hidden,
        left_out=(),
        answers=tuple(
            Answer(
                number=a.number,
                condition=a.condition,
                question=a.question.id,
                language=a.question.language,
                style=a.question.style,
                repeat=a.repeat,
                seed=a.seed,
                begun="",
                text=says[a.condition](a.number % samples),
                finish="stop",
                clipped=False,
                tokens_in=20,
                tokens_out=8,
            )
            for a in asked
        ),
    )


def answered_twice(folder: Path, samples: int = 24) -> tuple[Path, Path]:
    """A suspect that calls itself Nex in three of four answers, and its base, which calls itself Qwen."""
    suspect, panel = folder / "suspect.jsonl", folder / "panel-1.jsonl"
    save_answers(
        answers_of({"raw": lambda k: "I am Nex." if k % 4 else "Hello."}, samples=samples), suspect
    )
    save_answers(answers_of({"raw": lambda k: "I am Qwen."}, samples=samples), panel)
    return suspect, panel
