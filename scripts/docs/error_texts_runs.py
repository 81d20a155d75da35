"""Texts on the errors of training runs and their data."""

from __future__ import annotations

from typing import Final

__all__ = ["RUNS"]

_FORM: Final = "Write one JSON object a line, in a form that docs/training.md shows."
RUNS: Final[dict[str, tuple[str, str]]] = {
    "data-empty": ("A file of training data has no line in it.", _FORM),
    "data-too-large": (
        "A file of training data has more than 1,000,000 lines or more than 1 GiB.",
        "Split it; a run reads one file.",
    ),
    "data-line-too-long": (
        "A line of training data has more than 1 MiB. It was not read to its end.",
        "Make examples shorter; what is longer than `--max-length` tokens is cut anyway.",
    ),
    "data-not-json": (
        "A line of training data is no JSON object in UTF-8, or has a key twice.",
        _FORM,
    ),
    "data-keys": (
        "A line of training data has other keys than `messages`, `prompt` and `completion`, or `text`; or "
        "a value is no text.",
        _FORM,
    ),
    "data-roles": (
        "A chat is not an optional system turn followed by turns of user and assistant, or its turns have "
        "other keys than `role` and `content`.",
        _FORM,
    ),
    "data-no-answer": (
        "There is nothing to learn in a line: no answer of the assistant's at its end, or an empty text.",
        "End each chat with the answer that is to be learnt.",
    ),
    "data-nothing-left": (
        "No example has a token to learn within the longest length.",
        "Raise `--max-length`.",
    ),
    "data-template": (
        "The model's own chat template refuses an example, or does not let an answer follow the turn that "
        "invites it, so that what the assistant wrote cannot be told from the rest.",
        "Give such data as `prompt` and `completion`, which use no template.",
    ),
    "training-settings": (
        "A setting of a training run makes no sense.",
        "See `parentage train sft --help`.",
    ),
    "training-output": (
        "The output of a training run is there already and holds something, or it is, holds or lies in an "
        "input.",
        "Name a new folder elsewhere; nothing is ever overwritten.",
    ),
    "training-other-run": (
        "Beside the output lies what an unfinished run left (`OUT.partial`), and it differs from this one: "
        "the message says in what. Nothing is mixed.",
        "Ask for the same as before, delete that folder, or name another output.",
    ),
    "training-state": (
        "The saved state of an unfinished run is damaged or of another step than its name says.",
        "Delete that folder in `OUT.partial`; the run begins again.",
    ),
    "training-missing": (
        "Training needs libraries that are not installed.",
        "`pip install 'parentage[training]'`.",
    ),
    "training-device": ("The device that was asked for is not there.", "Use `--device cpu`."),
    "training-targets": (
        "No module of the model has a name that was given for the adapter.",
        "Name linear modules of the model, such as `q_proj,v_proj`, or leave `--lora-targets` out.",
    ),
    "training-format": (
        "A run begins with a folder on this machine that holds config.json, a tokenizer and safetensors "
        "that are not quantised; this is something else.",
        "Convert or dequantise it first.",
    ),
    "training-load": (
        "The model, its tokenizer or its config could not be loaded, or the files lack some of its "
        "tensors, which would begin with random numbers. No code of a model's own is ever run.",
        "Check the folder.",
    ),
    "training-other-tokenizer": (
        "The teacher's tokens are not the student's, by their texts, numbers or count, so that it cannot "
        "score the student's answers token by token.",
        "Name a teacher with the student's own tokenizer, such as another model of its family.",
    ),
    "training-tensors": (
        "The libraries load this architecture in another form than it is stored in, so that trained "
        "weights could not be written back in the base's own form.",
        "Train an adapter with `--lora-rank`.",
    ),
    "training-not-finite": (
        "A loss or a gradient was NaN or infinite. The step was not taken; the last saved state is written "
        "as a model in `OUT.partial/checkpoints/last-good`.",
        "A lower `--rate`, a longer `--warmup`, `--clip 1`, `--precision fp32`; or look at the data.",
    ),
    "training-no-memory": (
        "The memory of the machine or of the device did not suffice. Saved states are kept.",
        "A smaller `--batch` with more `--accumulation`, a shorter `--max-length`, `--recompute`, "
        "`--lora-rank`.",
    ),
}
