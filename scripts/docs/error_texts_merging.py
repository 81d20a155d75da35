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
    "merge-other-run": (
        "Beside the output lies what an unfinished merge left, of another recipe or of other inputs.",
        "Delete that folder, or name another output.",
    ),
    "merge-output-is-input": (
        "The output is, holds or lies in the folder of a model that the recipe names.",
        "Name a folder elsewhere.",
    ),
    "merge-output-not-empty": (
        "The output is there already, and is no empty folder. Nothing is ever overwritten.",
        "Name a new folder.",
    ),
    "plan-chat-template": (
        "The chat template that a recipe gives is neither `auto`, nor a name that is known, nor a text "
        "with anything to fill in.",
        "Give the text itself, or one of the names in docs/merging.md.",
    ),
    "plan-dtype": (
        "A tensor would be stored in a format that merges are not computed in.",
        "`out_dtype: bfloat16`, `float16` or `float32`.",
    ),
    "plan-empty": ("The models of a recipe hold no tensor.", "Name models with weights."),
    "plan-layers": (
        "The models have different numbers of layers, or a slice asks for layers that a model has not.",
        "Say with `slices` and `layer_range` which layers meet.",
    ),
    "plan-quantised": (
        "A model holds codes with scales. To average codes would give numbers that mean nothing.",
        "Name models in 16 or 32 bits.",
    ),
    "plan-shape": (
        "A tensor has another shape in another model.",
        "Name models of one architecture and size.",
    ),
    "plan-vocabulary": (
        "The models' vocabularies differ: one row would be the average of two different tokens.",
        "Say with `tokenizer` whose vocabulary the output has; rows are then mapped by token.",
    ),
    "recipe-adapters": (
        "A recipe lists adapters for a method that takes models, none for one that combines adapters, one "
        "alone where several are combined, one twice, or a base that has an adapter of its own.",
        "List each once under `adapters`, with a `weight`, and choose a method `adapter_…`.",
    ),
    "plan-adapters": (
        "Adapters hold what no combination of them keeps (lengths of DoRA, whole tensors), or disagree on "
        "which way round the base keeps its matrices.",
        "Merge such an adapter by itself, as a model `BASE+ADAPTER`.",
    ),
    "recipe-base-missing": (
        "The method works on differences from a base model, and the recipe names none.",
        "`base_model`: the model that the others were made from.",
    ),
    "recipe-method": ("No merge method has this name.", "The message lists them; check the spelling."),
    "recipe-parameter": (
        "A parameter of a recipe has a value that it cannot have: of another kind, or out of its bounds.",
        "The message says what the parameter is.",
    ),
    "recipe-parameter-missing": (
        "A parameter that the method must have is given neither for the model nor for all.",
        "Give it under the model's `parameters`, or under the recipe's.",
    ),
    "recipe-profile": (
        "The method does not exist in the arithmetic that was asked for.",
        "The message lists those that it exists in.",
    ),
    "recipe-unknown-parameter": (
        "A recipe gives a parameter that its method does not have, so it would be of no effect.",
        "Check the spelling and the method.",
    ),
    "recipe-not-recovered": (
        "The audit found no recipe that explains the suspect, or one that no single recipe file can say.",
        "Name the models that it may be made of with `--parent`.",
    ),
    "replay-differs": (
        "The suspect is not, bit for bit, what the recipe makes: other weights, another arithmetic, other "
        "revisions of the parents, or a change afterwards.",
        "The output says which tensors differ, and where; `--profile` tries another tool's arithmetic.",
    ),
    "replay-no-digests": (
        "`--by-digest` was given, and the suspect's place publishes no SHA-256 of its files.",
        "Leave `--by-digest` out: the suspect's weights are read then.",
    ),
    "plan-token": (
        "A recipe takes a token's row from a model that has no such token, or is no source of the tensor.",
        "Check `tokenizer: tokens`.",
    ),
}
