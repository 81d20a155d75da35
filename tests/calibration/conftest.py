"""What the calibration's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.calibration.ledger import Ledger
from tests.calibration.run import FOLDER


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The full size takes hours: whoever leaves out what is slow leaves it out."""
    for item in items:
        if item.get_closest_marker("calibration"):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def ledger(family: Path) -> Ledger:
    """The full calibration's memory; ``PARENTAGE_CALIBRATION`` puts it elsewhere."""
    return Ledger(Path(os.environ.get("PARENTAGE_CALIBRATION", FOLDER)))
