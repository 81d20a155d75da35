"""Evidence measured again from its pinned inputs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from parentage.api.files import load_evidence_object
from parentage.api.progress import Progress, silent
from parentage.checkpoints.remote.remote_limits import RemoteLimits, SharedSession
from parentage.engines.compiling import compile_for_audit
from parentage.engines.engine import Engine
from parentage.evidence.full.options import FullOptions
from parentage.evidence.inputs.asked_options import cores
from parentage.evidence.inputs.opening import open_pinned
from parentage.evidence.rederive import rederive, stored_options
from parentage.evidence.sampling.fetching import FetchProgress
from parentage.records.evidence_checks import read_evidence
from parentage.records.verification import Verification

__all__ = ["verify", "verify_evidence"]


def verify(
    path: Path,
    *,
    places: Mapping[str, str] | None = None,
    workers: int = 0,
    limits: RemoteLimits | None = None,
    engine: str | Engine = "threads",
    address: str | None = None,
    resume: str | Path | None = None,
    device: str = "cpu",
    compile_first: bool = False,
    progress: Progress = silent,
) -> Verification:
    """Measure again from the pinned inputs, ignoring every stored number, and name what differs.

    ``places``: where inputs lie now, by the models' names. Counts and digests must agree exactly,
    derived floats to 1e-9. ``engine``, ``address``, ``resume``, ``device``,
    ``compile_first``: as for :func:`audit`.
    """
    return verify_evidence(
        load_evidence_object(path),
        places=places,
        workers=workers,
        limits=limits,
        runs=FullOptions(engine, address, resume, device),
        compile_first=compile_first,
        progress=progress,
    )


def verify_evidence(
    plain: Mapping[str, Any],
    *,
    places: Mapping[str, str] | None = None,
    workers: int = 0,
    limits: RemoteLimits | None = None,
    runs: FullOptions | None = None,
    compile_first: bool = False,
    progress: Progress = silent,
) -> Verification:
    """The same for an evidence as it was read, its schema checked."""
    stored = read_evidence(plain)
    options = stored_options(stored.used, workers or cores())
    chosen = runs or FullOptions()
    options = replace(options, **chosen.checked(options.full, workers, limits))
    with ExitStack() as stack:
        shared = SharedSession(stack, limits, FetchProgress(progress).heard, sampled=not options.full)
        inputs = open_pinned(stack, stored.models, places or {}, shared, stored.used.get("root"))
        compile_for_audit(compile_first, options.full, progress)
        return rederive(stored, plain, inputs, options, progress)
