"""The recognition pass alone, on models in files: what recognisers propose and replay decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from parentage.architectures.alignment import align
from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.evidence.recognition.candidate import Recogniser
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.search import recognise
from parentage.records.recognition import Recognition
from tests.worlds.planted import Model

__all__ = ["context_of", "recognition_of"]


def recognition_of(
    suspect: Model,
    models: Mapping[str, Model],
    parents: str,
    controls: str = "",
    *,
    full: bool = False,
    probed: tuple[str, ...] = (),
    among: Sequence[Recogniser] | None = None,
) -> Recognition:
    """The pass of all recognisers, or ``among`` some; its probe: the tensors ``probed``, else all matrices.
    The first of ``parents`` is not said to be the base."""
    with TemporaryDirectory(prefix="pass-") as folder:
        context = context_of(Path(folder), suspect, models, parents, controls, probed=probed)
        return recognise(context, full=full, among=among)


def context_of(
    folder: Path,
    suspect: Model,
    models: Mapping[str, Model],
    parents: str,
    controls: str = "",
    *,
    probed: tuple[str, ...] = (),
) -> Context:
    """What recognisers see of models that are written to ``folder``."""
    places = [folder / f"{n}.safetensors" for n in ("suspect", *parents, *controls)]
    for place, model in zip(places, (suspect, *(models[n] for n in parents + controls)), strict=True):
        write_safetensors(place, model)
    checkpoints = [open_checkpoint(str(p)) for p in places]
    groups = {g.name: g for g in align(checkpoints[0], checkpoints[1:]).groups}
    matrices = sorted((n for n in groups if len(suspect[n].shape) == 2), key=lambda n: suspect[n].bits.size)
    # Distances are not measured here: what starts from them finds nothing.
    tensors: Any = [SimpleNamespace(effective_dtypes=(suspect[n].dtype.value,), present=()) for n in groups]
    numbers = range(1, len(checkpoints))
    return Context(
        tensors=tensors,
        groups=groups,
        checkpoints=checkpoints,
        sources=tuple(k for k in numbers if k <= len(parents)),
        base=None,
        controls=tuple(k for k in numbers if k > len(parents)),
        probes=probed or tuple(matrices),
        linear=None,
        workers=1,
        progress=lambda *_: None,
    )
