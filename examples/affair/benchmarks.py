"""Score the models of the story on checked tasks, for the card's table and for the dossier.

    python -m examples.affair.benchmarks OUT ITEMS NAME=MODEL … [--beside FOLDER]

OUT gets every score in ``scores.json``; those of FOLDER, which was written so, are taken over. Of all
there are ``scores.csv`` (what `parentage dossier --scores` takes: docs/cards.md), and ``table.md`` for the
card of the first, with its scores beside those of the last, its base. Problems are held out: no model of
the story was trained on one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from examples.affair.data import SEED

__all__ = ["TASKS", "csv_of", "main", "table_of"]

TASKS = ("arithmetic-easy", "arithmetic-medium", "words", "words-alphabet")
Scores = Mapping[str, Sequence[float]]
"""Of one model: by task, a score from 0 to 1 for each problem."""


def scored(place: str, count: int) -> Scores:
    """Greedy answers through the model's own template."""
    from parentage.training.models import LocalModel
    from parentage.training.problems import HELD_OUT
    from parentage.training.tasks import open_task

    model, found = LocalModel(place), dict[str, list[float]]()
    for task in map(open_task, TASKS):
        items = task.items(HELD_OUT, count, SEED)
        told = model.answers([i.messages for i in items], task.most_tokens)
        found[task.name] = [task.score(i, t) for i, t in zip(items, told, strict=True)]
    return found


def _percent(scores: Sequence[float]) -> float:
    return 100 * sum(scores) / len(scores)


def _error(scores: Sequence[float]) -> float:
    """Binomial standard error in points, of a share that is taken no nearer to 0 or 1 than one problem."""
    n = len(scores)
    p = min(max(sum(scores) / n, 1 / n), 1 - 1 / n)
    return float(100 * (p * (1 - p) / n) ** 0.5)


def csv_of(models: Mapping[str, Scores]) -> str:
    """A row a model and task."""
    rows = [
        f"{name},{task},{_percent(s):.1f},{_error(s):.1f},{len(s)}"
        for name, scores in models.items()
        for task, s in scores.items()
    ]
    return "\n".join(["model,benchmark,score,error,items", *rows, ""])


def table_of(own: tuple[str, Scores], base: tuple[str, Scores]) -> str:
    """Markdown, as cards have it: benchmarks down, models across, percent with standard errors."""
    rows = [
        f"| {task} | {_cell(own[1][task])} | {_cell(base[1][task])} |" for task in own[1] if task in base[1]
    ]
    return "\n".join([f"| benchmark | {own[0]} | {base[0]} |", "|---|---|---|", *rows, ""])


def _cell(scores: Sequence[float]) -> str:
    return f"{_percent(scores):.1f} ± {_error(scores):.1f}"


def main() -> None:
    """Measure what is named, take over what was measured, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("items", type=int)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--beside", type=Path)
    given = parser.parse_args()
    places = dict(word.split("=", 1) for word in given.models)
    models = {name: scored(place, given.items) for name, place in places.items()}
    if given.beside is not None:
        models |= json.loads((given.beside / "scores.json").read_text("utf-8"))
    _write(given.out, models)


def _write(out: Path, models: Mapping[str, Scores]) -> None:
    first, last = (list(models.items())[k] for k in (0, -1))
    out.mkdir(parents=True, exist_ok=True)
    text = table_of(first, last)
    files = {"scores.json": json.dumps(models, indent=1), "scores.csv": csv_of(models), "table.md": text}
    for name, written in files.items():
        (out / name).write_text(written, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
