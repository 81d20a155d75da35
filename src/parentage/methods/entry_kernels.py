"""The compiled functions that an audit calls, with the types that it calls them with.

Compiling them takes some 270 MB that the process keeps, once for each installation; afterwards machine code
is loaded from the compiler's cache. Who knows them beforehand can have them compiled elsewhere:
``engines.compiling`` does, in processes that end, one for each part, the largest of which takes 330 MB. A
kernel that is missing here is compiled where it is called, as any other: more memory, the same numbers.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from numba import types

__all__ = ["ENTRIES", "EntryKernel", "compile_entries", "main", "of_parts"]

# Vectors and matrices of contiguous numbers. The cache goes by the objects that calls have as types: nobody
# finds what was compiled for a signature in words.
V: Final = types.float64[::1]
M: Final = types.float64[:, ::1]
F: Final = types.float32[::1]
F2: Final = types.float32[:, ::1]
L: Final = types.int64[::1]
B: Final = types.uint16[::1]
_tuple: Any = types.Tuple
RECIPE: Final = _tuple((types.int64, types.int64, V, types.boolean, types.int64, V))


@dataclass(frozen=True, slots=True)
class EntryKernel:
    """A function of a module under ``parentage``, and the types of its arguments."""

    module: str
    name: str
    types: tuple[Any, ...]

    def dispatcher(self) -> Any:
        """The function itself, its module imported."""
        return getattr(import_module(f"parentage.{self.module}"), self.name)


_BLEND = (M, V, V, V, M)
_DRIFT = (M, V, V, V, M, M, M)

ENTRIES: Final[dict[str, tuple[EntryKernel, ...]]] = {
    "estimates": (
        EntryKernel("numerics.feasible.interval", "_all_intervals", (V,) * 6),
        EntryKernel("numerics.feasible.interval", "_overlap", (V,) * 5),
        EntryKernel("numerics.feasible.interval", "_deepest", (V, V)),
        EntryKernel("numerics.feasible.interval", "_curve", (V, V, V, V, V, L)),
        EntryKernel("numerics.likelihoods.prediction", "predict", (M, V, types.int64, types.boolean, V)),
        EntryKernel("numerics.likelihoods.prediction", "predict_off_grid", (M, V, types.int64, V, V)),
        EntryKernel("numerics.likelihoods.prediction", "residual_cells", (V,) * 6),
        EntryKernel("numerics.likelihoods.tails", "cell_scores", (V, V, types.float64, types.int64)),
        EntryKernel("numerics.likelihoods.tails", "scale_sums", (V, V, types.float64, types.int64)),
        EntryKernel(
            "numerics.likelihoods.profile",
            "_profile_grid",
            (*_BLEND, types.int64, types.boolean, types.int64, types.float64, V, V),
        ),
        EntryKernel(
            "numerics.likelihoods.profile",
            "_scales_by_row",
            (V, V, L, types.int64, types.float64, types.float64, V),
        ),
        EntryKernel("numerics.likelihoods.drift", "best_change", (V, V, M, types.int64, types.float64, V)),
        EntryKernel(
            "numerics.likelihoods.drift",
            "profile_with_drift",
            (*_DRIFT, V, types.int64, types.boolean, types.int64, types.float64, V, V, M, V),
        ),
    ),
    "replays": (
        EntryKernel(
            "numerics.likelihoods.blend_field",
            "_values",
            (*_DRIFT, types.int64, types.boolean, types.int64, V, V, M),
        ),
        EntryKernel("numerics.training.decay", "_shrinkage", (F2, F2, types.int64)),
        EntryKernel(
            "numerics.training.decay",
            "_scan",
            (L, L, L, types.float64[:], types.float64[:], F, F, types.int64, types.int64),
        ),
        EntryKernel("numerics.tool_order.torch_sums", "_short", (F,)),
        EntryKernel("numerics.tool_order.torch_sums", "_short", (types.float32[:],)),
        EntryKernel(
            "numerics.tool_order.torch_sums",
            "_add_steps",
            (types.float32[:, :, ::1], F, types.int64, types.int64, types.int64, types.boolean),
        ),
        EntryKernel("methods.grids", "_one_bf16", (types.float32,)),
        EntryKernel("methods.grids", "_one_f16", (types.float32,)),
        EntryKernel("methods.grids", "_bf16", (F, F)),
        EntryKernel("methods.grids", "_f16", (F, F)),
        EntryKernel("methods.grids", "store_bf16", (F, B)),
        EntryKernel("methods.grids", "_store_wide_bf16", (V, B)),
        EntryKernel("methods.linear", "blend", (types.int64, V, F2, types.int64, types.boolean, F, V)),
    ),
    "full": (
        EntryKernel(
            "methods.linear_stream",
            "_count_pieces",
            (types.int64[:, ::1], types.uint8[:, ::1], L, L, types.int64, types.int64, RECIPE, L),
        ),
    ),
}


def of_parts(parts: Iterable[str]) -> tuple[EntryKernel, ...]:
    """The kernels of these parts of ``ENTRIES``."""
    return tuple(kernel for part in parts for kernel in ENTRIES[part])


def compile_entries(parts: Sequence[str]) -> None:
    """Compile them, or find them in the compiler's cache; a line on standard output for each."""
    for kernel in of_parts(parts):
        kernel.dispatcher().compile(kernel.types)
        sys.stdout.write(f"{kernel.module}.{kernel.name}\n")
        sys.stdout.flush()


def main() -> None:
    """What the process that compiles runs; parts are its arguments."""
    compile_entries(sys.argv[1:])
