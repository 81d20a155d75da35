"""What the tests of proposals share: fixtures as candidates, and a proposal that reports no progress."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from parentage.evidence.inputs.proposals import Proposal, propose

__all__ = ["FIXTURES", "MERGEKIT", "PEFT", "RUN", "folder_of", "mergekit", "names", "proposed"]

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
MERGEKIT, RUN = FIXTURES / "mergekit", FIXTURES / "training-run"
PEFT = FIXTURES / "peft" / "lora-merged.safetensors"


def proposed(
    suspect: Path,
    candidates: Path | None,
    parents: Sequence[Path] = (),
    others: Sequence[Path] = (),
    seed: int = 0,
) -> Proposal:
    """What is proposed for ``suspect``."""
    return propose(
        str(suspect),
        None if candidates is None else str(candidates),
        parents=[str(p) for p in parents],
        others=[str(p) for p in others],
        seed=seed,
        progress=_silent,
    )


def names(places: Iterable[str]) -> list[str]:
    """File names without their ending, or folder names."""
    return [Path(p).name.removesuffix(".safetensors") for p in places]


def folder_of(folder: Path, *models: Path) -> Path:
    """The folder, with copies of the models in it."""
    folder.mkdir(parents=True, exist_ok=True)
    for model in models:
        shutil.copy(model, folder / model.name)
    return folder


def mergekit(*wanted: str) -> list[Path]:
    """Models of the mergekit fixtures."""
    return [MERGEKIT / f"{n}.safetensors" for n in wanted]


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody watches."""
