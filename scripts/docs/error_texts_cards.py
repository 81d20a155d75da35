"""What the error codes of model cards mean: a part of ``error_texts``."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CARDS"]

CARDS: Mapping[str, tuple[str, str]] = {
    "card-absent": (
        "The place that was named has no card: a model's folder or repository keeps it in `README.md`.",
        "Name the card's own file, or a place that has one.",
    ),
    "card-condition": (
        "`parentage card --fail-on` found what it was asked to fail on: a claim that the evidence "
        "contradicts, or a parent that the card does not name.",
        "Read the claim's reason; a card that says what the weights say has none.",
    ),
    "usage-card": (
        "An option of `parentage card` takes NAME=VALUE, a date, or one of two words, and got something "
        "else.",
        "Write `--called a.safetensors=org/A`, `--published org/A=2026-05-31`, `--fail-on contradicted`.",
    ),
    "card-history": (
        "The place that was named for a card's history (`--history`) is neither a git repository nor a "
        "model on the hub, or its commits cannot be listed.",
        "Name the folder of a clone or mirror, or `org/name`; git must be installed for the first.",
    ),
    "card-scores": (
        "A file of measured scores (`--scores`) is no CSV table with a header that has model, benchmark "
        "and score, or a row of it holds no number.",
        "Write `model,benchmark,score,error,items`; the last two may be empty.",
    ),
    "card-words": (
        "A file of further words to read cards with (`--words`) is not one: no table of claims, a pattern "
        "that is no regular expression, or one that is too long.",
        "[docs/cards.md](cards.md) shows the shape of such a file.",
    ),
}
