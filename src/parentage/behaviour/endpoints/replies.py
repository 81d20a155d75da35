"""What lies in an endpoint's answer: texts, token counts, log-probabilities, in the dialects in use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from parentage.behaviour.targets import Reply, TokenScores
from parentage.records.absence import Absent

__all__ = ["MAX_ANSWER", "reply_of", "scores_of", "top_of"]

# Characters of one answer that are kept. An answer about a name takes some hundred.
MAX_ANSWER = 2**18
_NOT_COUNTED = Absent("not counted by the target")


def reply_of(body: dict[str, Any]) -> Reply:
    """The first choice of a chat or a completion; absent, with the reason, when there is none."""
    choice = _choice(body)
    if choice is None:
        return Reply(Absent("the endpoint's answer holds no choices"))
    text = _text(choice)
    if text is None:
        return Reply(Absent("the endpoint's answer holds no text"))
    finish = choice.get("finish_reason")
    usage = body.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Reply(
        text=text[:MAX_ANSWER],
        finish=finish[:40] if isinstance(finish, str) else "",
        clipped=len(text) > MAX_ANSWER,
        tokens_in=_count(counts.get("prompt_tokens")),
        tokens_out=_count(counts.get("completion_tokens")),
    )


def _choice(body: dict[str, Any]) -> dict[str, Any] | None:
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else None


def _text(choice: dict[str, Any]) -> str | None:
    if isinstance(choice.get("text"), str):
        return str(choice["text"])
    message = choice.get("message")
    if not isinstance(message, dict):
        return None
    content = message.get("content")
    if content is None:
        # A model that only thought, or that said nothing: an answer of no words.
        return ""
    if isinstance(content, list):
        parts = (p.get("text") for p in content if isinstance(p, dict))
        return "".join(p for p in parts if isinstance(p, str))
    return content if isinstance(content, str) else None


def _count(value: object) -> int | Absent:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31:
        return value
    return _NOT_COUNTED


def top_of(body: dict[str, Any]) -> TokenScores | Absent:
    """The most probable first tokens of a completion, in OpenAI's old form or in that of chats."""
    choice = _choice(body)
    given = choice.get("logprobs") if choice is not None else None
    if not isinstance(given, dict):
        return Absent("the endpoint gave no log-probabilities")
    old, new = given.get("top_logprobs"), given.get("content")
    pairs: list[tuple[object, object]] = []
    if isinstance(old, list) and old and isinstance(old[0], dict):
        pairs = list(old[0].items())
    elif isinstance(new, list) and new and isinstance(new[0], dict):
        listed = new[0].get("top_logprobs")
        entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
        pairs = [(e.get("token"), e.get("logprob")) for e in entries]
    good = [(t, p) for t, p in ((t, _logprob(p)) for t, p in pairs) if isinstance(t, str) and p is not None]
    if not good:
        return Absent("the endpoint gave no log-probabilities")
    good.sort(key=lambda pair: (-pair[1], pair[0]))
    return TokenScores(tuple(t for t, _ in good), tuple(p for _, p in good))


def _logprob(value: object) -> float | None:
    """The number, ``None`` for what is no log-probability."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of JSON may have any length
        return None
    # Rounding of a server's may put a certain token a little above 0.
    return number if math.isfinite(number) and number <= 1e-3 else None


def scores_of(body: dict[str, Any], start: int) -> Sequence[float] | Absent:
    """Log-probabilities of the tokens from character ``start`` of an echoed prompt on."""
    choice = _choice(body)
    given = choice.get("logprobs") if choice is not None else None
    table = given if isinstance(given, dict) else {}
    values, places = table.get("token_logprobs"), table.get("text_offset")
    if not isinstance(values, list) or not isinstance(places, list) or len(values) != len(places):
        return Absent("the endpoint does not score the prompt that it is given")
    kept = [
        _logprob(v) for v, at in zip(values, places, strict=True) if isinstance(at, int) and at >= start
    ]
    known = [v for v in kept if v is not None]
    if not kept or len(known) != len(kept):
        return Absent("the endpoint does not score the prompt that it is given")
    return known
