"""A merge's start leaves out what no kernel needs, and nothing that a kernel may need later."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
from parentage.engines.compiler_start import load_compiler
load_compiler()
assert "scipy.linalg" not in sys.modules
import numpy as np
from numba import njit

@njit
def product(a, b):
    return a @ b, np.linalg.inv(a)

a = np.array([[2.0, 1.0], [1.0, 3.0]])
made, inverse = product(a, a)
assert (made == a @ a).all() and abs(inverse @ a - np.eye(2)).max() < 1e-12
from scipy.linalg import eigh
assert eigh(a)[0].size == 2
load_compiler()
print("as before")
"""


def test_matrices_are_multiplied_in_compiled_code_afterwards() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "as before"
