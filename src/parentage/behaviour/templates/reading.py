"""What a chat template adds by itself, and the three prompts that are asked with. Runs in the worker.

``shipped``: as it is rendered without a system message. ``stripped``: the same after every word that the
template itself adds was taken out of its syntax tree; framing stays. ``raw``: the turns' own markers,
learnt from renderings of longer conversations, around the question, with no system turn at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError

from parentage.behaviour.templates.origins import Literal, Traced, literals_of, mark, traced
from parentage.behaviour.templates.prose import is_prose, prose_spans
from parentage.behaviour.templates.sandbox import (
    Bounds,
    BoundsExceeded,
    Refused,
    Sandbox,
    bounded,
    count_everything,
)

__all__ = ["CannotRender", "Template", "hidden_prompt"]

Messages = Sequence[Mapping[str, str]]

# Words that no template contains, one unbroken word each, so that a filter leaves them whole.
USER, ANSWER, SECOND, SYSTEM = "QZXUSERQZX", "QZXANSWERQZX", "QZXSECONDQZX", "QZXSYSTEMQZX"
MOST_LISTED = 64
MOST_SHOWN = 4_000


class CannotRender(Exception):
    """``code`` is one of our stable codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class Template:
    """A template's source and the special tokens that it is rendered with."""

    source: str
    tokens: Mapping[str, str]
    sandbox: Sandbox = field(default_factory=Sandbox)

    @cached_property
    def stripped(self) -> nodes.Template:
        """The tree without its own words."""
        return stripped(self)[0]

    @cached_property
    def markers(self) -> Markers:
        """What separates turns."""
        return markers(self)

    def tree(self) -> nodes.Template:
        """A tree of its own for each call, with loops counted; raises ``CannotRender``."""
        try:
            return count_everything(self.sandbox.parse(self.source))
        except TemplateSyntaxError as error:
            raise CannotRender("template-syntax", f"line {error.lineno}: {error.message}") from None
        except (RecursionError, TemplateError, ValueError) as error:
            raise CannotRender("template-syntax", f"cannot be parsed: {error}"[:300]) from None

    def render(self, tree: nodes.Template, messages: Messages, *, generation: bool = True) -> str:
        """The prompt; raises ``CannotRender``."""
        values: dict[str, Any] = {**self.tokens, "add_generation_prompt": generation, "tools": None}
        self.sandbox.bounds = Bounds()
        try:
            code = self.sandbox.compile(tree)
            made = self.sandbox.template_class.from_code(self.sandbox, code, dict(self.sandbox.globals))
            parts, total = [], 0
            for part in made.generate(messages=[dict(m) for m in messages], **values):
                total += len(part)
                bounded("" if total < 2**20 else " " * total)
                parts.append(part)
            return "".join(parts)
        except SecurityError as error:
            raise CannotRender("template-forbidden", str(error)[:300]) from None
        except BoundsExceeded as error:
            raise CannotRender("template-bounds", str(error)) from None
        except (RecursionError, MemoryError):
            raise CannotRender("template-bounds", "it recurses or grows without end") from None
        except Refused as error:
            raise CannotRender("template-refuses", str(error)) from None
        except Exception as error:
            # A template is a program: whatever it raises is its own affair, and the text of it evidence.
            raise CannotRender("template-fails", f"{type(error).__name__}: {error}"[:300]) from None


def user(text: str) -> dict[str, str]:
    """A user's turn."""
    return {"role": "user", "content": text}


def hidden_prompt(template: Template) -> dict[str, Any]:
    """What the template adds, as plain values (``records.interview.HiddenPrompt`` reads them)."""
    plain = template.render(template.tree(), [user(USER)])
    given = _given(template)
    literals, seen = _trace(template, plain)
    texts = [_text(plain, span, given, seen, literals) for span in _own_spans(plain)]
    stripped_tree, numbers = stripped(template, plain)
    stripped_text = template.render(stripped_tree, [user(USER)])
    shown = {n for n, _ in (o for o in seen.origins if o is not None)} if seen else set()
    return {
        "rendered": plain[:MOST_SHOWN],
        "system_given": given if isinstance(given, dict) else given[:MOST_SHOWN],
        "texts": texts[:MOST_LISTED],
        "traced": seen is not None,
        "removed_literals": len(numbers),
        "stripped": stripped_text[:MOST_SHOWN],
        "left_over": [stripped_text[a:b] for a, b in _own_spans(stripped_text)][:MOST_LISTED],
        "other_texts": [
            {"text": k.text.strip()[:MOST_SHOWN], "line": k.line}
            for k in literals
            if k.number not in shown and any(True for _ in prose_spans(k.text))
        ][:MOST_LISTED],
        "raw": _raw_or_why(template),
    }


def _given(template: Template) -> str | dict[str, str]:
    """The rendering with a system message, or why there is none."""
    try:
        return template.render(template.tree(), [{"role": "system", "content": SYSTEM}, user(USER)])
    except CannotRender as error:
        return {"absent": f"with a system message: {error.message} ({error.code})"}


def _own_spans(text: str) -> list[tuple[int, int]]:
    """Prose in a rendering that is not the question."""
    found = []
    for start, end in prose_spans(text):
        at = text.find(USER, start, end)
        pieces = [(start, end)] if at < 0 else [(start, at), (at + len(USER), end)]
        for a, b in pieces:
            part = text[a:b]
            if is_prose(part):
                found.append((a + len(part) - len(part.lstrip()), a + len(part.rstrip())))
    return found


def _trace(template: Template, plain: str) -> tuple[list[Literal], Traced | None]:
    tree = template.tree()
    literals = literals_of(tree)
    leads = {k.number: len(k.text) - len(k.text.lstrip()) for k in literals}
    kept = [Literal(k.number, type(k.node)(k.text, lineno=k.line), k.line) for k in literals]
    mark(literals)
    try:
        seen = traced(template.render(tree, [user(USER)]), leads)
    except (CannotRender, ValueError, KeyError):
        return kept, None
    return kept, seen if seen.text == plain else None


def _text(
    plain: str,
    span: tuple[int, int],
    given: str | dict[str, str],
    seen: Traced | None,
    literals: list[Literal],
) -> dict[str, Any]:
    text = plain[span[0] : span[1]]
    lines = []
    if seen is not None:
        numbers = dict.fromkeys(o[0] for o in seen.origins[span[0] : span[1]] if o is not None)
        lines = sorted({literals[n].line for n in numbers})
    when = "unknown" if isinstance(given, dict) else "always" if text in given else "without-system"
    return {"text": text[:MOST_SHOWN], "lines": lines, "when": when}


def stripped(template: Template, plain: str | None = None) -> tuple[nodes.Template, tuple[int, ...]]:
    """The tree without the words that it adds to a conversation, and the literals that were cut."""
    whole = template.render(template.tree(), [user(USER)]) if plain is None else plain
    _, seen = _trace(template, whole)
    tree = template.tree()
    if seen is None:
        return tree, ()
    cut: dict[int, set[int]] = {}
    for start, end in _own_spans(seen.text):
        for origin in seen.origins[start:end]:
            if origin is not None:
                cut.setdefault(origin[0], set()).add(origin[1])
    for literal in literals_of(tree):
        gone = cut.get(literal.number)
        if gone:
            literal.put("".join(c for k, c in enumerate(literal.text) if k not in gone))
    return tree, tuple(sorted(cut))


@dataclass(frozen=True, slots=True)
class Markers:
    """What stands before a question, between it and the answer, and between the answer and the next."""

    start: str
    to_answer: str
    to_user: str
    """From an answer to the next question: the answer's end and the user's beginning."""

    def prompt(self, messages: Messages) -> str:
        """The turns alone; the last may be the beginning of an answer."""
        text = self.start
        for k, message in enumerate(messages):
            if message["role"] == "user":
                text += ("" if k == 0 else self.to_user) + message["content"] + self.to_answer
            else:
                text += message["content"]
        return text


def markers(template: Template) -> Markers:
    """Learnt from renderings; raises ``CannotRender`` (``template-no-markers``)."""
    answer = {"role": "assistant", "content": ANSWER}
    tree = template.tree
    asked = template.render(tree(), [user(USER)])
    both = template.render(tree(), [user(USER), answer, user(SECOND)])
    ended = template.render(tree(), [user(USER), answer], generation=False)
    if any(w not in t for w, t in ((USER, asked), (ANSWER, ended), (ANSWER, both), (SECOND, both))):
        raise CannotRender("template-no-markers", "the template alters the turns that it is given")
    to_user = both[both.index(ANSWER) + len(ANSWER) : both.index(SECOND)]
    to_answer = asked[asked.index(USER) + len(USER) :]
    opening = _opening(to_user, to_answer, ended[ended.index(ANSWER) + len(ANSWER) :])
    first = _first_token(template, asked)
    if first and opening.startswith(first):
        first = ""
    return Markers(first + opening, to_answer, to_user)


def _opening(to_user: str, to_answer: str, close: str) -> str:
    """The user's own marker: what follows the end of the turn before it.

    The marker that ends a user's turn usually ends an assistant's too. Where it does not, the end is what a
    conversation closes with, if the next turn begins with it.
    """
    end = _END.match(to_answer)
    at = to_user.rfind(end[0]) if end is not None else -1
    if end is not None and at >= 0 and to_user[at + len(end[0]) :].strip():
        return to_user[at + len(end[0]) :]
    return to_user[len(close) :] if close and to_user.startswith(close) else to_user


_END = re.compile(r"(?:<[|｜][^<>\n]{1,48}[|｜]>|</?[A-Za-z_]\w{0,30}>|\[/?[A-Z_]{1,24}\])\n*")


def _first_token(template: Template, asked: str) -> str:
    token = template.tokens.get("bos_token", "")
    return token if token and asked.startswith(token) else ""


def _raw_or_why(template: Template) -> str | dict[str, str]:
    try:
        return template.markers.prompt([user(USER)])[:MOST_SHOWN]
    except CannotRender as error:
        return {"absent": f"{error.message} ({error.code})"}


def prompt(template: Template, condition: str, messages: Messages) -> str:
    """The text that a model is given under a condition; a last assistant's turn is left open.

    Raises ``CannotRender``.
    """
    if condition == "raw":
        return template.markers.prompt(messages)
    tree = template.tree() if condition == "shipped" else template.stripped
    if messages[-1]["role"] == "assistant":
        begun = messages[-1]["content"]
        return template.render(tree, messages[:-1]) + begun
    return template.render(tree, messages)
