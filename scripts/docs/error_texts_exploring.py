"""The words of ``docs/errors.md`` for tasks, RandOpt and exploring."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["EXPLORING"]

EXPLORING: Mapping[str, tuple[str, str]] = {
    "explore-settings": (
        "A number of `parentage explore` makes no sense.",
        "See `parentage explore path --help` and `parentage explore search --help`.",
    ),
    "explore-text": (
        "The file of texts whose loss was to be measured is missing, too large, not UTF-8, or has fewer "
        "than two paragraphs.",
        "Name a UTF-8 file of paragraphs with blank lines between, or leave `--text` out.",
    ),
    "ledger-malformed": (
        "The list of what an unfinished run has measured was damaged.",
        "Delete it; the run then begins anew.",
    ),
    "ledger-other-run": (
        "In the output's folder in the making (`OUT.partial`) lies an unfinished run with other settings, "
        "other weights or by another version; the message names what differs.",
        "Ask for the same as before, delete the folder, or name another output.",
    ),
    "model-device": (
        "The device that was asked for is not there, or has too little memory.",
        "`--device cpu`, or `cuda` where there is one.",
    ),
    "model-no-memory": (
        "The memory of this machine, or of the device, does not suffice to run the model.",
        "Take a smaller model, or a machine with more memory.",
    ),
    "model-not-finite": (
        "A model that was to be measured gives NaN or infinite numbers.",
        "Look at its weights; of a random member, take a smaller sigma.",
    ),
    "model-template": (
        "The model's chat template does not render a problem of the task.",
        "Give the problems roles that the template knows.",
    ),
    "model-tensor": (
        "A tensor of the model's files has no counterpart of its name in the loaded model: the library "
        "joins or renames tensors of this architecture when it loads them.",
        "None: such models cannot be perturbed in place.",
    ),
    "perturb-format": (
        "Noise is added to floating-point weights; these are quantised, or lie in another format.",
        "Name the folder of a model in safetensors of float32, float16 or bfloat16.",
    ),
    "randopt-output": (
        "The output is there already, or is, holds or lies in the folder of the model.",
        "Name a new folder elsewhere; nothing is overwritten.",
    ),
    "randopt-settings": (
        "A number of `parentage train randopt` makes no sense: more members kept than tried, no problem, "
        "or a sigma that is not above 0 and at most 1.",
        "See `parentage train randopt --help`.",
    ),
    "search-missing": (
        "CMA-ES is a library's, which is not installed.",
        "`pip install 'parentage[search]'`, or `--strategy halving`.",
    ),
    "space-knobs": (
        "The file of a search names no range, too many, or one that is none; the line is named.",
        "Write ranges in braces: `weight: {low: 0, high: 1}` or `merge_method: {choices: [linear, ties]}`.",
    ),
    "task-file": (
        "A file of a task is missing, too large, or a line of it is no problem with an answer; the line is "
        "named.",
        'Write one line of JSON a problem: `{"prompt": "…", "answer": "…"}`.',
    ),
    "task-scoring": (
        "What stands after the colon of a task's file is no way in which answers are scored.",
        "`exact`, `number` or `contains`.",
    ),
    "task-split": (
        "A task has two splits, `tuned` and `held-out`; another was asked for. Raised to Python callers "
        "only.",
        "Name one of the two.",
    ),
    "task-too-few": (
        "A split of a task has fewer problems than were asked for. Of a file's problems each split has "
        "about half.",
        "Ask for fewer, take a harder built-in task, or add problems to the file.",
    ),
    "task-unknown": (
        "There is no built-in task of this name, and no file.",
        "The message lists the built-in ones; a file's name ends in `.jsonl`.",
    ),
}
