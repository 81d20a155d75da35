"""Prompts and the hidden prompt of a chat template, from a process that ends with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.behaviour.templates.sources import ChatTemplate
from parentage.errors import TemplateError
from parentage.records.absence import Absent
from parentage.records.interview import HiddenPrompt, HiddenText, TemplateText

__all__ = ["CONDITIONS", "Turns", "read_hidden_prompt", "render_prompts", "render_turns"]

CONDITIONS = ("shipped", "stripped", "raw")
MOST_ANSWER = 64 * 2**20
# Wall clock for a machine that is busy; the worker's own limit of CPU is the one that is met.
PATIENCE_S = 240
Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Turns:
    """A whole chat as text; ``spans``: characters [start, end) that follow an invitation to answer, what
    ends the answer included."""

    text: str
    spans: tuple[tuple[int, int], ...]


def read_hidden_prompt(template: ChatTemplate) -> HiddenPrompt:
    """Every text that the template adds when no system message is given. Raises ``TemplateError``."""
    found = _ask(template, {"hidden": True})["hidden"]
    return HiddenPrompt(
        template=template.name,
        place=template.place,
        sha256=template.sha256,
        rendered=found["rendered"],
        system_given=_text_or_absent(found["system_given"]),
        texts=tuple(HiddenText(t["text"], tuple(t["lines"]), t["when"]) for t in found["texts"]),
        other_texts=tuple(TemplateText(t["text"], t["line"]) for t in found["other_texts"]),
        traced=found["traced"],
        stripped=found["stripped"],
        left_over=tuple(found["left_over"]),
        raw=_text_or_absent(found["raw"]),
    )


def render_prompts(
    template: ChatTemplate, wanted: Sequence[tuple[str, Messages]]
) -> tuple[str | Absent, ...]:
    """The prompt of each (condition, messages), in order. Raises ``TemplateError``."""
    plain = [[condition, [dict(m) for m in messages]] for condition, messages in wanted]
    return tuple(_text_or_absent(p.get("text", p)) for p in _ask(template, {"prompts": plain})["prompts"])


def render_turns(template: ChatTemplate, chats: Sequence[Messages]) -> tuple[Turns | Absent, ...]:
    """Whole chats, each ending with the assistant's turn, in order. Raises ``TemplateError``."""
    found = _ask(template, {"chats": [[dict(m) for m in messages] for messages in chats]})["chats"]
    return tuple(
        Absent(str(chat["absent"]))
        if "absent" in chat
        else Turns(chat["text"], tuple((int(a), int(b)) for a, b in chat["spans"]))
        for chat in found
    )


def _text_or_absent(value: Any) -> str | Absent:
    return Absent(str(value["absent"])) if isinstance(value, dict) else str(value)


def _ask(template: ChatTemplate, request: dict[str, Any]) -> dict[str, Any]:
    whole = {"source": template.text, "tokens": dict(template.tokens), **request}
    source = str(Path(__file__).resolve().parents[3])
    # No environment of ours: a template has no business with keys.
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH")}
    try:
        done = subprocess.run(
            # Without -P a file jinja2.py in the folder that we are called from would be run.
            [sys.executable, "-P", "-m", "parentage.behaviour.templates.worker"],
            input=json.dumps(whole).encode(),
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
            env={**kept, "PYTHONPATH": source, "PYTHONDONTWRITEBYTECODE": "1"},
        )
    except subprocess.TimeoutExpired:
        raise _failed(template, "template-bounds", "it was not rendered in time") from None
    if done.returncode or len(done.stdout) > MOST_ANSWER:
        raise _failed(template, "template-bounds", "rendering it took more time or memory than it may")
    found: dict[str, Any] = json.loads(done.stdout)
    if "error" in found:
        raise _refused(template, found["error"])
    return found


def _failed(template: ChatTemplate, code: str, message: str) -> TemplateError:
    return TemplateError(f"the chat template: {message}", code=code, where=template.place, hint=HINT)


def _refused(template: ChatTemplate, told: Mapping[str, str]) -> TemplateError:
    message = told["message"]
    kinds = {
        "template-syntax": _failed(template, "template-syntax", message),
        "template-forbidden": _failed(template, "template-forbidden", message),
        "template-bounds": _failed(template, "template-bounds", message),
        "template-refuses": _failed(template, "template-refuses", message),
    }
    return kinds.get(told["code"]) or _failed(template, "template-fails", message)


HINT = "ask without it (--no-template), or give another with --template"
