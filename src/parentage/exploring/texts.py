"""Texts whose loss is measured: a user's file in paragraphs, or our own neutral sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from parentage.behaviour.distributions import neutral_prompts
from parentage.errors import UsageError

__all__ = ["MOST_TEXTS", "read_texts"]

MOST_BYTES: Final = 4 << 20
MOST_TEXTS: Final = 256


def read_texts(path: Path | None) -> tuple[str, ...]:
    """Paragraphs, which blank lines part; the first ``MOST_TEXTS``. None: our own beginnings of sentences.

    Raises ``UsageError`` (``explore-text``).
    """
    if path is None:
        return tuple(text for _, text in neutral_prompts())
    try:
        if not path.is_file():
            raise _refused(path, "there is no such file")
        with path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise _refused(path, f"it cannot be read: {error.strerror}") from None
    if len(raw) > MOST_BYTES:
        raise _refused(path, f"it is larger than {MOST_BYTES:,} bytes")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _refused(path, "it is not UTF-8") from None
    found = [part.strip() for part in whole.replace("\r\n", "\n").split("\n\n")]
    kept = tuple(part for part in found if len(part.split()) > 1)[:MOST_TEXTS]
    if len(kept) < 2:
        raise _refused(path, "an interval takes two paragraphs of some words or more")
    return kept


def _refused(path: Path, why: str) -> UsageError:
    return UsageError(
        f"no texts to measure a loss on: {why}",
        code="explore-text",
        where=str(path),
        hint="a UTF-8 file of paragraphs with blank lines between",
    )
