"""How often the measure of shared noise errs, on planted suspects of known making.

    PARENTAGE_FAMILY=build/family python -m scripts.training.noise_errors [SEEDS]

Every suspect of the kinds that `tests/calibration` has for audits that must not accuse, against each model
it is audited with, is no member of RandOpt; members are made from those models, of four sizes of noise, as
`parentage train randopt` makes them. Prints counts with exact 95 % intervals, and what was told wrongly.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.calibration.nulls import NULL_KINDS, null_world
from tests.worlds.planted import Model, World

from parentage.checkpoints.formats.safetensors_writer import write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.exploring.shared_noise import shared_noise
from parentage.numerics.shares.intervals_binomial import clopper_pearson
from parentage.records.absence import Absent
from parentage.training.noise import NOISES
from parentage.training.perturbing import Perturbation, write_member

__all__ = ["main"]

FIRST_SEED = 20_000
SIGMAS = (1e-5, 1e-4, 1e-3, 1e-2)
Told = tuple[str, str, float, float]
"""What it is, what was told (yes, no, not measured), the correlation, the largest elsewhere."""


def _written(folder: Path, model: Model) -> str:
    write_safetensors(folder / "model.safetensors", model)
    return str(folder)


def _told(kind: str, suspect: str, base: str) -> Told:
    found = shared_noise(suspect, base)
    if isinstance(found, Absent):
        return kind, "not measured", 0.0, 0.0
    return kind, "yes" if found.shared else "no", found.correlation, found.elsewhere


def _of_world(kind: str, seed: int, world: World, folder: Path) -> Iterator[Told]:
    suspect = _written(folder / "suspect", world.suspect)
    for k, (_, model) in enumerate(world.parents):
        yield _told(kind, suspect, _written(folder / f"parent-{k}", model))
    sigma = SIGMAS[seed // 2 % len(SIGMAS)]
    with open_checkpoint(str(folder / "parent-0")) as base:
        write_member(folder / "member", base, Perturbation(NOISES["counter"](seed), sigma))
    yield _told(f"member {sigma:g}", str(folder / "member"), str(folder / "parent-0"))


def _line(name: str, rows: list[Told]) -> str:
    measured = [r for r in rows if r[1] != "not measured"]
    hits = sum(r[1] == "yes" for r in measured)
    low, high = clopper_pearson(hits, len(measured)) if measured else (0.0, 1.0)
    most = max((r[2] for r in measured), default=0.0)
    least = min((r[2] for r in measured), default=0.0)
    return (
        f"{name:22} {hits:4} of {len(measured):4} [{100 * low:.2f}, {100 * high:.2f}] %; "
        f"{len(rows) - len(measured)} not measured; correlations {least:+.3f} to {most:+.3f}"
    )


def main() -> None:
    """Measure and print."""
    seeds = range(FIRST_SEED, FIRST_SEED + int(sys.argv[1] if len(sys.argv) > 1 else 24))
    rows: list[Told] = []
    for seed in seeds:
        for kind in NULL_KINDS:
            with tempfile.TemporaryDirectory() as folder:
                rows += _of_world(kind, seed, null_world(kind, seed), Path(folder))
    for kind in dict.fromkeys(r[0] for r in rows):
        print(_line(kind, [r for r in rows if r[0] == kind]))
    members = [r for r in rows if r[0].startswith("member")]
    print(_line("all members", members))
    print(_line("all others", [r for r in rows if not r[0].startswith("member")]))
    for row in rows:
        if row[1] == ("no" if row in members else "yes"):
            print("wrongly:", *row)


if __name__ == "__main__":
    main()
