"""Where the real models lie, and what the tests need of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# As the program sets it, before anything imports numpy: two threads over a matrix of 96 x 512 wait for one
# another on a busy machine, 2 s where one takes .01.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

MEMBERS = ("O", "A", "B")


@pytest.fixture(scope="session")
def family() -> Path:
    """The folder with O/, A/ and B/ of the MiniLM family, which ``make demo`` fetches."""
    folder = Path(os.environ.get("PARENTAGE_FAMILY", "build/family"))
    missing = [m for m in MEMBERS if not (folder / m / "model.safetensors").exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} not in {folder}: `make demo` fetches them")
    return folder
