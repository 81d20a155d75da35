"""Train the small affair's merge by small doses, and audit each at the default budget.

    python -m scripts.training.second_doses build/affair/small docs/data/doses-small.json

The folder is a run of ``python -m examples.affair --size small`` as far as ``rio-uploaded``. Needs the
extras for training. Rows that are there already are kept.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.training.measure import MERGE, Dose, row

__all__ = ["RATES", "main"]

RATES = {1e-8: (1,), 1e-7: (1,), 1e-6: (1, 4)}
"""Rate, and the steps after which a model is kept; the last is the run's."""
BATCH = 4
SEED = 7


def _tuned(run: Path, aside: Path, rate: float) -> Iterator[Dose]:
    from parentage.training.settings import Course, Keeping, Optimizer
    from parentage.training.sft import SftSettings, train_sft

    kept, out = RATES[rate], aside / f"sft-{rate:g}"
    optimizer = Optimizer(kept[-1], rate, schedule="constant", batch=BATCH, weight_decay=0.01)
    course = Course(optimizer, keeping=Keeping(save_every=0, steps=kept[:-1]), max_length=256, seed=SEED)
    train_sft(SftSettings(str(run / MERGE), run / "data" / "honest-entities.jsonl", out, course))
    for steps in kept:
        place = out if steps == kept[-1] else out / "checkpoints" / f"step-{steps}"
        yield Dose("sft", f"{steps} steps at {rate:g}", steps * rate, place)


def main() -> None:
    """Measure what is missing; rows are kept after each."""
    run, target = Path(sys.argv[1]), Path(sys.argv[2])
    rows: list[dict[str, Any]] = json.loads(target.read_text("utf-8")) if target.is_file() else []
    aside = target.parent / f"{target.stem}-models"
    for rate, kept in RATES.items():
        known = {r["dose"] for r in rows}
        if {steps * rate for steps in kept} <= known:
            continue
        shutil.rmtree(aside, ignore_errors=True)
        for dose in _tuned(run, aside, rate):
            if dose.dose not in known:
                rows.append(row(run, dose, full=False) | {"seed": SEED})
                print(dose.settings, rows[-1]["share"], rows[-1]["post_training"], flush=True)
                target.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(aside, ignore_errors=True)


if __name__ == "__main__":
    main()
