"""What the error codes of recipes, plans and merges mean and what to try."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["MERGING"]

MERGING: Mapping[str, tuple[str, str]] = {
    "recipe-cyclic": (
        "A recipe's aliases lead round in a circle, or stand for more than any recipe holds.",
        "Write the values out.",
    ),
    "recipe-dtype": (
        "A recipe asks for numbers in a format that merges are not computed in.",
        "bfloat16, float16, float32 or float64.",
    ),
    "recipe-duplicate-key": ("A recipe says one thing twice.", "Keep one of the two."),
    "recipe-layers": (
        "The sources of a slice have not equally many layers.",
        "Check each `layer_range`: the first layer, and the one after the last.",
    ),
    "recipe-not-finite": ("A parameter of a recipe is NaN or infinite.", "Give a number."),
    "recipe-not-yaml": (
        "The recipe is not YAML.",
        "Check indentation and quotes at the line that is named.",
    ),
    "recipe-several": (
        "One file holds several recipes, which may build on each other.",
        "Give each a file of its own, and name the first one's output in the second.",
    ),
    "recipe-shape": (
        "A recipe lacks something, or has a value of another kind there.",
        "`docs/merging.md` has the form.",
    ),
    "recipe-too-large": ("The file is far larger than any recipe.", "Name a recipe."),
    "recipe-unknown-key": (
        "A recipe has a key that is not known. It is refused, because what it asks for would not be done.",
        "Check the spelling; `docs/merging.md` lists the keys.",
    ),
    "recipe-unsupported": (
        "A recipe asks for something of mergekit's that is not supported.",
        "The message says what to write instead.",
    ),
}
