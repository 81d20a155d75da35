"""The process in which a template is parsed and rendered: one request in, one answer out, hard limits.

Started by :mod:`parentage.behaviour.templates.rendering`; reads one JSON object from standard input and
writes one to standard output.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from typing import Any

from parentage.behaviour.templates.reading import CannotRender, Template, hidden_prompt, prompt
from parentage.behaviour.templates.turns import answered

__all__ = ["answer", "main"]

# A whole reading with 1,000 prompts takes 2 s and 60 MB; sandboxed work stops far earlier.
CPU_SECONDS = 10
MEMORY = 768 * 2**20


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Serve one request: ``{"source", "tokens", "hidden": bool, "prompts": [[condition, messages]…],
    "chats": [messages…]}``."""
    template = Template(request["source"], request["tokens"])
    try:
        hidden = hidden_prompt(template) if request.get("hidden") else None
        template.tree()
    except CannotRender as error:
        return {"error": {"code": error.code, "message": error.message}}
    prompts: list[dict[str, str]] = []
    for condition, messages in request.get("prompts", ()):
        try:
            prompts.append({"text": prompt(template, condition, messages)})
        except CannotRender as error:
            prompts.append({"absent": f"{error.message} ({error.code})"})
    chats: list[dict[str, Any]] = []
    for messages in request.get("chats", ()):
        try:
            chats.append(answered(template, messages))
        except CannotRender as error:
            chats.append({"absent": f"{error.message} ({error.code})"})
    return {"hidden": hidden, "prompts": prompts, "chats": chats}


def main() -> None:
    """Take the limits, then read, answer and end."""
    for limit, most in (
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        # Not every system knows every limit; the counts of the sandbox hold everywhere.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(limit, (most, most))
    request = json.loads(sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(answer(request)))


if __name__ == "__main__":
    main()
