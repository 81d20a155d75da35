"""The terms of a report, each in a sentence that needs no other term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["GLOSSARY"]

GLOSSARY: Final[Mapping[str, tuple[str, str]]] = {
    "weight": (
        "weight (of a parent)",
        "How much of a parent is in the suspect. In a merge with weights 0.6 and 0.4 each "
        "number of the suspect is 0.6 times the first parent's number plus 0.4 times the "
        "second's.",
    ),
    "interval": (
        "interval",
        "The range that the evidence leaves for a number. For an exact merge, every value "
        "outside it is impossible; otherwise it holds the truth in the stated share of such "
        "audits.",
    ),
    "match": (
        "match",
        "The share of numbers that the recipe reproduces in every bit, counted only where the "
        "parents differ, for elsewhere any recipe would.",
    ),
    "consistency": (
        "consistency",
        "The largest share of numbers that one single weight can explain once the rounding of "
        "stored numbers is allowed for. 1 means that one weight explains them all.",
    ),
    "replay": (
        "replay",
        "Making the merge again from the parents, with the same order of operations and the "
        "same rounding, and comparing the result bit by bit.",
    ),
    "arithmetic": (
        "arithmetic",
        "The exact sequence of operations and number formats in which a merging tool "
        "computes; it leaves marks in the last bits.",
    ),
    "direction": (
        "direction",
        "Which was made from which. Rounding cannot be undone: a merge is rebuilt from its parents in "
        "every bit, but a parent is not rebuilt from the merge. Where both fit equally well, the weights "
        "do not say who came first.",
    ),
    "grid": (
        "grid",
        "The numbers that a format can hold. A merge that was stored lies on it exactly where its recipe "
        "rounds to, and later changes start from there.",
    ),
    "ulp": (
        "unit in the last place",
        "The distance from a stored number to the next one that its number format can hold.",
    ),
    "control": (
        "control",
        "A model that is known not to be made from these parents, put through the same tests "
        "to show what they answer when there is nothing to find.",
    ),
    "novelty": (
        "novelty",
        "Bits of information per number that the explanation leaves open: 0 means that "
        "parents and recipe determine the suspect completely.",
    ),
    "sigma": (
        "σ of the change",
        "The typical size of a change made after the merge, relative to the spread of the weights.",
    ),
    "element": (
        "element",
        "One number in a model; also called a weight or a parameter.",
    ),
    "tensor": (
        "tensor",
        "A named block of numbers, such as one matrix of one layer.",
    ),
    "component": (
        "component",
        "What a tensor does within its layer, such as attention or feed-forward (mlp).",
    ),
    "power": (
        "99 % power",
        "Of a hundred models changed by this much, ninety-nine would have been noticed.",
    ),
    "bf16": (
        "bf16, fp16, fp32",
        "Number formats of 16, 16 and 32 bits. The shorter ones round every number to a "
        "coarse grid, and that grid betrays how a merge was computed.",
    ),
    "digest": (
        "digest (SHA-256)",
        "A fingerprint of a file: equal digests mean equal files, byte for byte.",
    ),
}
