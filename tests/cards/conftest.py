"""The command line, called in this process, and one labelled merge for all that only look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from parentage.records.merge import MergeRecord
from tests.cards.labelled import make
from tests.cli.conftest import run

__all__ = ["labelled", "run"]


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, MergeRecord]:
    """Not to be changed; ``copy_of`` gives one that may be."""
    return make(tmp_path_factory.mktemp("labelled"))
