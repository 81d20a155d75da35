"""What a model wrote, for a terminal."""

from __future__ import annotations

from parentage.records.absence import Absent
from parentage.records.generation import Generation, Writing
from parentage.reports.wording import visible

__all__ = ["render_text"]


def render_text(found: Generation) -> str:
    """Each answer with a line on how it was decoded; what would steer a terminal is shown as escapes."""
    blocks = [f"{_head(found, w)}\n\n{_lines(w.text)}" for w in found.writings]
    return "\n\n".join(blocks) + "\n"


def _head(found: Generation, writing: Writing) -> str:
    words = [f"seed {writing.seed}: {len(writing.tokens)} tokens"]
    words.append("ended by the model" if writing.ended else "cut at the limit")
    if not isinstance(found.switching, Absent):
        words.append(f"{writing.switches} switches")
        words.append(f"{100 * writing.share_of('latent'):.1f} % with a latent input")
    return ", ".join(words)


def _lines(text: str) -> str:
    return "\n".join(visible(line) for line in text.split("\n"))
