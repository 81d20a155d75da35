"""Models that nobody published: members of RandOpt, the line between two models, a search of recipes.

Apart from :mod:`parentage.api` itself, for these load what an audit has no use for.

>>> from parentage.api import exploring
>>> settings = exploring.PathSettings("tuned/", "base/", Path("path"), task="arithmetic")  # doctest: +SKIP
>>> exploring.explore_path(settings).barrier                                               # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path

from parentage.exploring.path import PathSettings, explore_path
from parentage.exploring.search import SearchSettings, explore_search
from parentage.exploring.shared_noise import SharedNoise, shared_noise
from parentage.records import exploring as path_records
from parentage.records import searching as search_records
from parentage.records.codec import from_plain
from parentage.records.exploring import PathExplored
from parentage.records.json_files import load_json
from parentage.records.randopt import RandOptRun, load_randopt
from parentage.records.searching import RecipeSearch
from parentage.training.models import Model, Opener
from parentage.training.problems import Item, Task
from parentage.training.randopt import RandOptSettings, randopt
from parentage.training.tasks import open_task, task_names

__all__ = [
    "Item",
    "Model",
    "Opener",
    "PathExplored",
    "PathSettings",
    "RandOptRun",
    "RandOptSettings",
    "RecipeSearch",
    "SearchSettings",
    "SharedNoise",
    "Task",
    "explore_path",
    "explore_search",
    "load_path",
    "load_randopt",
    "load_search",
    "open_task",
    "randopt",
    "shared_noise",
    "task_names",
]


def load_path(path: Path) -> PathExplored:
    """Read what ``explore path --json`` wrote; errors of ``json_files.load_json`` and ``from_plain``."""
    plain = load_json(path, schema=path_records.SCHEMA, version=path_records.VERSION)
    return from_plain(PathExplored, plain)


def load_search(path: Path) -> RecipeSearch:
    """Read what ``explore search`` wrote; errors of ``json_files.load_json`` and ``from_plain``."""
    plain = load_json(path, schema=search_records.SCHEMA, version=search_records.VERSION)
    return from_plain(RecipeSearch, plain)
