"""Merge recipes searched with a stated budget, and the held-out score beside the one that was tuned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from parentage import __version__
from parentage.errors import UsageError
from parentage.exploring.making import file_digests, passing_merge
from parentage.exploring.space import Candidate, Space, read_space
from parentage.exploring.strategies import STRATEGIES, Budget, Tried
from parentage.merging.merge import MergeOptions, plan_merge
from parentage.records.codec import to_plain
from parentage.records.json_files import write_json, write_text
from parentage.records.randopt import Against
from parentage.records.recipe import ModelName
from parentage.records.searching import SCHEMA, VERSION, Chosen, ParentScore, RecipeSearch, TriedRecipe
from parentage.training.asking import Answered, ask
from parentage.training.ledger import Ledger
from parentage.training.models import Opener, opener_on
from parentage.training.problems import HELD_OUT, TUNED, Item, Task
from parentage.training.randopt import libraries
from parentage.training.scores import gap, paired_difference, rate, sign_test
from parentage.training.tasks import open_task

__all__ = ["SearchSettings", "explore_search"]

ANSWERS: Final = "answers.jsonl"
BEST: Final = "best.yaml"
NAME: Final = "search.json"
MOST_BUDGET: Final = 1_000_000
Progress = Callable[[str, int, int], None]
LIMITS: Final = (
    "The chosen recipe's tuned score is the best of many, and so too high; judge by the held-out one.",
    "The held-out problems were used once, for the recipe shown; a search repeated until they please is "
    "tuned on them too.",
    "Held-out problems are of the same task; nothing is said of others.",
)


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """``space``: a recipe's file with ranges; ``objective``: a task; ``budget``: answers to tuned problems
    in all; ``candidates``: recipes drawn by halving and Thompson sampling; ``problems``: asked of each
    point by CMA-ES; ``held_out``: problems that tell how the chosen does; ``out``: keeps every answer."""

    space: Path
    objective: str
    budget: int
    out: Path
    strategy: str = "halving"
    candidates: int = 8
    problems: int = 16
    held_out: int = 96
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise _senseless(f"the strategy is one of {', '.join(STRATEGIES)}")
        if not 1 <= self.budget <= MOST_BUDGET or min(self.problems, self.held_out, self.candidates) < 1:
            raise _senseless(f"numbers are 1 or more, and the budget at most {MOST_BUDGET:,}")


def _senseless(message: str) -> UsageError:
    return UsageError(message, code="explore-settings", hint="parentage explore search --help")


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody listens."""


def explore_search(
    settings: SearchSettings, *, opener: Opener | None = None, progress: Progress = _silent
) -> RecipeSearch:
    """Search, choose, ask the chosen and its parents what chose nothing; ``best.yaml`` is in ``out`` then.

    The same call goes on where it was stopped. On the disk: one merge beside the answers. Raises
    ``UsageError`` (``explore-settings``, ``search-missing``, ``ledger-other-run``, ``task-…``),
    ``RecipeError``, ``PlanError``, ``OutputError`` and what loading raises.
    """
    space = read_space(settings.space)
    task = open_task(settings.objective)
    for one in space.examples():
        # From headers alone: what no merge can be made of is told before answers are spent.
        plan_merge(one.recipe, MergeOptions())
    names = space.models()
    files = {place: file_digests(place) for name in names for place in name.places}
    ledger = Ledger(settings.out / ANSWERS, _identity(settings, space, files))
    try:
        run = _Search(settings, space, task, ledger, opener or opener_on(settings.device), progress)
        found = run.result(_parents(space, names), files)
    finally:
        ledger.close()
    write_text(settings.out / BEST, found.chosen.recipe)
    write_json(settings.out / NAME, {"schema": SCHEMA, "version": VERSION, **to_plain(found)})
    return found


def _parents(space: Space, names: Sequence[ModelName]) -> list[str]:
    """Models that can be asked by themselves: an adapter alone cannot."""
    middle = space.candidate([0.5] * len(space.knobs)).recipe
    adapters = {entry.place for entry in middle.adapters}
    found = [n.model for n in names if n.adapter is None and n.model not in adapters]
    return list(dict.fromkeys([*found, *(n.model for n in names if n.adapter is not None)]))


def _asked(settings: SearchSettings) -> dict[str, Any]:
    return {
        "objective": settings.objective,
        "budget": settings.budget,
        "strategy": settings.strategy,
        "candidates": settings.candidates,
        "problems": settings.problems,
        "held_out": settings.held_out,
        "seed": settings.seed,
        "device": settings.device,
    }


def _identity(settings: SearchSettings, space: Space, files: Mapping[str, Any]) -> dict[str, Any]:
    # Answers are of a recipe and problems, whatever budget or strategy asked for them.
    return {
        "objective": settings.objective,
        "seed": settings.seed,
        "device": settings.device,
        "space": space.text,
        "weights": dict(files),
        "libraries": libraries(),
        "version": __version__,
    }


@dataclass(frozen=True, slots=True)
class _Search:
    settings: SearchSettings
    space: Space
    task: Task
    ledger: Ledger
    opener: Opener
    progress: Progress

    def result(self, models: Sequence[str], files: Mapping[str, Mapping[str, str]]) -> RecipeSearch:
        settings = self.settings
        budget = Budget(settings.budget, settings.candidates, settings.problems, settings.seed)
        spent = [0]
        tuned: list[Item] = []

        def score(candidate: Candidate, first: int, count: int) -> Sequence[float]:
            if len(tuned) < first + count:
                # A longer draw begins with a shorter one.
                tuned[:] = self.task.items(TUNED, first + count, settings.seed)
            self.progress("answers", spent[0], settings.budget)
            spent[0] += count
            return self._ask(candidate, tuned[first : first + count]).scores

        tried, best = STRATEGIES[settings.strategy](self.space, budget, score)
        self.progress("answers", settings.budget, settings.budget)
        held_out = self.task.items(HELD_OUT, settings.held_out, settings.seed)
        own = self._ask(best.candidate, held_out).scores
        parents = {name: self._of(name, held_out) for name in models}
        return RecipeSearch(
            tool=f"parentage {__version__}",
            space=self.space.text,
            files=files,
            settings=_asked(settings),
            libraries=libraries(),
            spent=spent[0],
            tried=tuple(_tried(t) for t in tried if t.scores),
            parents=tuple(ParentScore(name, rate(scores)) for name, scores in parents.items()),
            chosen=_chosen(best, own, parents),
            limits=LIMITS,
        )

    def _ask(self, candidate: Candidate, items: Sequence[Item]) -> Answered:
        def folder() -> Any:
            return passing_merge(candidate.recipe, self.settings.out / "merge")

        return self._answered(f"recipe {candidate.digest}", folder, items)

    def _of(self, model: str, items: Sequence[Item]) -> Sequence[float]:
        return self._answered(f"model {model}", lambda: nullcontext(model), items).scores

    def _answered(self, name: str, folder: Callable[[], Any], items: Sequence[Item]) -> Answered:
        """The merge is made, and a model loaded, only where it must be asked."""
        with _Held(folder, self.opener) as held:
            return ask(self.ledger, name, self.task, items, held.model)


class _Held:
    def __init__(self, folder: Callable[[], Any], opener: Opener) -> None:
        self._folder, self._opener = folder, opener
        self._making: Any = None
        self._model: Any = None

    def __enter__(self) -> _Held:
        return self

    def __exit__(self, *told: object) -> None:
        if self._model is not None:
            self._model.close()
        if self._making is not None:
            self._making.__exit__(*told)

    def model(self) -> Any:
        self._making = self._folder()
        self._model = self._opener(self._making.__enter__())
        return self._model


def _tried(one: Tried) -> TriedRecipe:
    return TriedRecipe(one.candidate.digest, one.candidate.values, rate(one.scores), len(one.scores))


def _chosen(best: Tried, own: Sequence[float], parents: Mapping[str, Sequence[float]]) -> Chosen:
    parent = max(parents, key=lambda name: sum(parents[name]))
    theirs = parents[parent]
    against = Against(rate(own), paired_difference(own, theirs), sign_test(own, theirs))
    tuned = rate(best.scores)
    return Chosen(
        digest=best.candidate.digest,
        values=best.candidate.values,
        recipe=best.candidate.text,
        tuned=tuned,
        held_out=against,
        best_parent=parent,
        over_fitted=gap(tuned, against.score),
    )
