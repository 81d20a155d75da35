"""What the calibration's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.calibration.ledger import Ledger
from tests.calibration.run import FOLDER


@pytest.fixture(scope="session")
def ledger(family: Path) -> Ledger:
    """The full calibration's memory; ``PARENTAGE_CALIBRATION`` puts it elsewhere."""
    return Ledger(Path(os.environ.get("PARENTAGE_CALIBRATION", FOLDER)))
