"""Which characters of a rendered chat the assistant wrote: what a model learns from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from parentage.behaviour.templates.reading import CannotRender, Template

__all__ = ["answered"]


def answered(template: Template, messages: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """``{"text", "spans"}`` of a chat that ends with the assistant's turn.

    An answer is what the rendering up to it has beyond the rendering that invites it. A template may write
    earlier turns differently once others follow (thoughts are left out): those are no part of a span.
    Raises ``CannotRender``; ``template-no-markers`` where the last answer does not follow its invitation.
    """
    text = template.render(template.tree(), messages, generation=False)
    spans = []
    for k, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        invited = template.render(template.tree(), messages[:k])
        whole = template.render(template.tree(), messages[: k + 1], generation=False)
        if whole.startswith(invited) and text.startswith(whole) and len(whole) > len(invited):
            spans.append([len(invited), len(whole)])
    if not spans or spans[-1][1] != len(text):
        raise CannotRender("template-no-markers", "an answer does not follow the turn that invites it")
    return {"text": text, "spans": spans}
