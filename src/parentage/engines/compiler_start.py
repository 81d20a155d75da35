"""The compiler, ready to load kernels, without what no kernel of ours needs."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final, cast

__all__ = ["load_compiler"]

# For compiled ``np.convolve`` and ``np.correlate`` alone numba asks, as this module of it is loaded, if
# scipy has a BLAS, and so imports all of ``scipy.linalg``: .14 s, a sixth of a merge's start. What else
# multiplies matrices in compiled code asks again when it is compiled.
ASKING: Final = "numba.np.arraymath"
ASKED: Final = "scipy.linalg.cython_blas"


def load_compiler() -> None:
    """Load the module that asks, and let it hear that there is none; nothing where it was loaded before,
    or scipy's was. No other thread may import at the time."""
    if ASKING in sys.modules or ASKED in sys.modules:
        return
    # None: importing it fails (https://docs.python.org/3/reference/import.html#the-module-cache).
    cast("dict[str, Any]", sys.modules)[ASKED] = None
    try:
        importlib.import_module(ASKING)
    finally:
        del sys.modules[ASKED]
