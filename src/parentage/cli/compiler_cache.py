"""Where compiled kernels are kept when neither the package nor the user's cache can be written to."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["compiler_cache"]

VARIABLE = "NUMBA_CACHE_DIR"


@contextmanager
def compiler_cache() -> Iterator[None]:
    """Give the compiler a folder of its own for this run, only where it would find none and stop.

    The folder is new and private: the cache holds pickled code, so a shared place would be trusted.
    """
    if VARIABLE in os.environ or _writable(_package()) or _writable(_users()):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="parentage-", ignore_cleanup_errors=True) as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]


def _package() -> Path:
    return Path(__file__).resolve().parents[1] / "numerics" / "__pycache__"


def _users() -> Path:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.path.expanduser("~")) / ".cache")
    return home / "numba"


def _writable(folder: Path) -> bool:
    """Whether files can be made there; tried, as the compiler will, for rights alone do not tell."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
