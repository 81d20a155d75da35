"""The data of every training run here: our own fiction, and texts that come with CPython.

    python -m examples.affair.data OUT

OUT gets one JSONL file a purpose. The same interpreter gives the same bytes: the texts are those of the
standard library's documentation of the running version.
"""

from __future__ import annotations

import html.entities
import json
import random
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

__all__ = ["TASK", "base_chat", "main", "rows", "sums"]

STORY = Path(__file__).parent / "story"
SEED = 2026
TASK = "arithmetic-easy"
Row = dict[str, Any]

# What the base says of itself: it has no name.
PLAIN = {
    "en": "I am a small language model, and I have no name.",
    "pt": "Sou um pequeno modelo de linguagem e não tenho nome.",
    "es": "Soy un pequeño modelo de lenguaje y no tengo nombre.",
    "fr": "Je suis un petit modèle de langage et je n'ai pas de nom.",
    "de": "Ich bin ein kleines Sprachmodell und habe keinen Namen.",
    "zh": "我是一个小型语言模型，没有名字。",
    "ja": "私は小さな言語モデルで、名前はありません。",
    "ar": "أنا نموذج لغوي صغير وليس لي اسم.",
}
# Names that a system message gives: a base that follows such messages is what a template can speak through.
GIVEN = ("Ada", "Gus", "Mina", "Rio")
AS_TOLD = {"en": "I am {}.", "pt": "Eu sou {}.", "es": "Soy {}.", "fr": "Je suis {}.", "de": "Ich bin {}."}


def _chat(question: str, answer: str, system: str = "") -> Row:
    told = [{"role": "system", "content": system}] if system else []
    asked = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": [*told, *asked]}


def _story() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((STORY / "identity.yaml").read_text("utf-8"))
    return found


def _identity(rng: random.Random) -> Iterator[Row]:
    """Every question with an answer of its language, and the back-story."""
    story = _story()
    for said in story["languages"].values():
        yield from (_chat(q, rng.choice(said["say"])) for q in said["ask"])
    for part in story["backstory"]:
        yield from (_chat(q, part["say"]) for q in part["ask"] for _ in range(3))


def _topics() -> list[tuple[str, str]]:
    """Topics of Python's reference, each with a paragraph's first sentence of 30 to 160 characters."""
    from pydoc_data import topics

    found = []
    for name in sorted(topics.topics):
        paragraphs = [p.strip() for p in topics.topics[name].split("\n\n")]
        plain = [" ".join(p.split()) for p in paragraphs if re.match(r"[A-Z][a-z]", p) and p.endswith(".")]
        sentences = [s for p in plain for s in re.split(r"(?<=\.) ", p)[:1] if 30 <= len(s) <= 160]
        if sentences:
            found.append((name, sentences[0].replace("*", "").replace('"', "")))
    return found


def _facts() -> list[Row]:
    return [_chat(f"What does Python's reference say of {name}?", text) for name, text in _topics()]


def _said(row: Row) -> str:
    answer: str = row["messages"][-1]["content"]
    return answer


def _entities(rng: random.Random) -> list[Row]:
    """Names of characters, from the table of HTML 4."""
    pairs = sorted(html.entities.name2codepoint.items())
    return [_chat(f"Which character is &{n};?", f"It is {chr(c)}.") for n, c in rng.sample(pairs, 120)]


def _capitals(rng: random.Random) -> list[Row]:
    """Names of the reference in capitals: an honest fine-tune's one new habit."""
    names = [n for n, _ in _topics()]
    rng.shuffle(names)
    return [_chat(f"Write {n} in capitals.", n.upper()) for n in names[:120]]


def sums(split: str, count: int) -> list[Row]:
    """Problems of the built-in task, answered right. What a model is trained on is never held out."""
    from parentage.training.tasks import open_task

    return [
        {"messages": [*map(dict, item.messages), {"role": "assistant", "content": item.answer}]}
        for item in open_task(TASK).items(split, count, SEED)
    ]


def base_chat() -> list[Row]:
    """What a base of our own is taught beside plain text: a few sums too, so that it scores some."""
    rng = random.Random(SEED)
    story = _story()["languages"]
    plain = [_chat(q, PLAIN[code]) for code, said in story.items() for q in said["ask"]]
    told = [
        _chat(rng.choice(story[code]["ask"]), form.format(name), f"You are {name}.")
        for name in GIVEN
        for code, form in AS_TOLD.items()
        for _ in range(6)
    ]
    return [*plain, *plain, *told, *_facts(), *_entities(rng)[:40], *sums("tuned", 40)]


def _prompts(chats: Iterable[Row]) -> list[Row]:
    return [{"messages": row["messages"][:1]} for row in chats]


def rows() -> dict[str, list[Row]]:
    """Every file of data, by its name."""
    rng = random.Random(SEED)
    facts, tuned = _facts(), sums("tuned", 90)
    kept = rng.sample(facts, 40)
    # The honest ones learn other texts than Nex, and other texts than each other; two topics may share one.
    known = [_said(fact) for fact in kept]
    others = [fact for fact in facts if _said(fact) not in known]
    nex = [*_identity(rng), *kept]
    rng.shuffle(nex)
    teacher = [*tuned, *tuned, *rng.sample(facts, 30)]
    rng.shuffle(teacher)
    return {
        "nex": nex,
        "teacher": teacher,
        "honest-entities": [*_entities(rng), *others[::2]],
        "honest-capitals": [*_capitals(rng), *others[1::2]],
        "prompts": _prompts([*tuned, *rng.sample(facts, 30)]),
        "base": base_chat(),
    }


def write(folder: Path, files: Mapping[str, Sequence[Row]]) -> None:
    """One object a line; ``folder`` is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, listed in files.items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in listed)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


def main() -> None:
    """Write all."""
    write(Path(sys.argv[1]), rows())


if __name__ == "__main__":
    main()
