"""Measure what each kind of training leaves, by dose: train a stored merge, compare, audit.

    python -m scripts.training.measure build/affair/tiny OUT.json [--seed N] [KIND …]

The folder is a finished run of ``python -m examples.affair``. Needs the extras for training. What was
measured before stays in OUT.json and is not measured again. The seed is that of order, sampling and noise.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scripts.training.changes import compare

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.absence import Absent

__all__ = ["KINDS", "MERGE", "Dose", "main", "row"]

MERGE = "rio-uploaded"
RATES = (1e-7, 1e-6, 1e-5, 1e-4)
KEPT = (1, 4, 16)
LORA_RATES = (1e-5, 1e-4, 1e-3)
# Of distillation and policy gradient, whose steps take longer.
TRL_RATES = (1e-6, 1e-4)
SIGMAS = (1e-5, 1e-4, 1e-3, 1e-2)
# steps · rate · decay: 10,000 steps at 1e-5 with .01 are 1e-3.
DECAYS = (1e-5, 1e-4, 1e-3, 4e-3)
STRENGTHS = (0.01, 0.1, 1.0)
BATCH = 8
SEED = 7


@dataclass(frozen=True, slots=True)
class Dose:
    """One point: ``made`` writes a model's folder from the merge. ``dose``: in the unit of its kind."""

    kind: str
    settings: str
    dose: float
    place: Path


def _courses(rate: float, seed: int, lora: int = 0) -> Any:
    from parentage.training.settings import Course, Keeping, Lora, Optimizer

    return Course(
        optimizer=Optimizer(steps=KEPT[-1], rate=rate, schedule="constant", batch=BATCH, weight_decay=0.01),
        lora=Lora(lora, merge=True) if lora else None,
        keeping=Keeping(save_every=0, steps=KEPT),
        max_length=256,
        seed=seed,
    )


def _kept(kind: str, rate: float, out: Path) -> Iterator[Dose]:
    for steps in KEPT:
        place = out / "checkpoints" / f"step-{steps}"
        yield Dose(kind, f"{steps} steps at {rate:g}", steps * rate, place if place.is_dir() else out)


def _sft(run: Path, aside: Path, seed: int) -> Iterator[Dose]:
    from parentage.training.sft import SftSettings, train_sft

    for kind, rank, rates in (("sft", 0, RATES), ("lora", 4, LORA_RATES)):
        for rate in rates:
            out = aside / f"{kind}-{rate:g}"
            data = run / "data" / "honest-entities.jsonl"
            train_sft(SftSettings(str(run / MERGE), data, out, _courses(rate, seed, rank)))
            yield from _kept(kind, rate, out)


def _distilled(run: Path, aside: Path, seed: int) -> Iterator[Dose]:
    from parentage.training.distill import DistillSettings, distill

    for rate in TRL_RATES:
        out, prompts = aside / f"distill-{rate:g}", run / "data" / "prompts.jsonl"
        models = (str(run / MERGE), str(run / "teacher"))
        distill(DistillSettings(*models, prompts, out, _courses(rate, seed), new_tokens=24))
        yield from _kept("distill", rate, out)


def _rewarded(run: Path, aside: Path, seed: int) -> Iterator[Dose]:
    """Rewarded for the word "the": a small model gets no sum right, and without a reward nothing moves."""
    from parentage.training.rl import RlSettings, reinforce

    task = aside / "the.jsonl"
    chats = [json.loads(line) for line in (run / "data" / "prompts.jsonl").read_text("utf-8").splitlines()]
    aside.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps({"prompt": c["messages"][0]["content"], "answer": "the"}) for c in chats]
    task.write_text("\n".join(dict.fromkeys(rows)) + "\n", encoding="utf-8")
    for rate in TRL_RATES:
        out, name = aside / f"rl-{rate:g}", f"{task}:contains"
        reinforce(
            RlSettings(str(run / MERGE), name, out, _courses(rate, seed), items=24, group=4, new_tokens=24)
        )
        yield from _kept("rl", rate, out)


def _weights(
    run: Path, out: Path, change: Callable[[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]]
) -> Path:
    """The merge with every tensor passed through ``change``, float32 in and out, rounded once."""
    stored = {}
    with open_checkpoint(str(run / MERGE)) as checkpoint:
        for name, ref in checkpoint.tensors.items():
            wide = to_float32(checkpoint.read(ref, 0, ref.elements), ref.dtype).reshape(ref.shape)
            bits = round_to(change(name, wide).astype(np.float64), ref.dtype)
            stored[name] = StoredTensor(ref.dtype, ref.shape, bits)
    write_safetensors(out / "model.safetensors", stored)
    return out


def _randopt(run: Path, aside: Path, seed: int) -> Iterator[Dose]:
    from parentage.training.noise import NOISES
    from parentage.training.perturbing import Perturbation, write_member

    for sigma in SIGMAS:
        out = aside / f"randopt-{sigma:g}"
        with open_checkpoint(str(run / MERGE)) as checkpoint:
            write_member(out, checkpoint, Perturbation(NOISES["counter"](seed), sigma))
        yield Dose("randopt", f"sigma {sigma:g}", sigma, out)


def _decayed(run: Path, aside: Path, seed: int) -> Iterator[Dose]:
    for decay in DECAYS:
        out = aside / f"decay-{decay:g}"
        factor = np.exp(-decay)
        yield Dose(
            "weight-decay",
            f"steps · rate · decay {decay:g}",
            decay,
            _weights(run, out, lambda name, w, by=factor: w * by if w.ndim == 2 else w),
        )


def _abliterated(run: Path, aside: Path, seed: int) -> Iterator[Dose]:
    """The direction that most of what the embedding writes has in common: a real one, of this model."""
    with open_checkpoint(str(run / MERGE)) as checkpoint:
        ref = checkpoint.tensors["model.embed_tokens.weight"]
        table = to_float32(checkpoint.read(ref, 0, ref.elements), ref.dtype).reshape(ref.shape)
    r = np.linalg.svd(table.astype(np.float64), full_matrices=False)[2][0]

    def without(name: str, w: np.ndarray[Any, Any], strength: float) -> np.ndarray[Any, Any]:
        if not name.endswith(("o_proj.weight", "down_proj.weight")):
            return w
        return w - strength * np.outer(r, r @ w)

    for strength in STRENGTHS:
        out = aside / f"abliteration-{strength:g}"
        yield Dose(
            "abliteration",
            f"strength {strength:g}",
            strength,
            _weights(run, out, lambda name, w, by=strength: without(name, w, by)),
        )


KINDS: dict[str, Callable[[Path, Path, int], Iterator[Dose]]] = {
    "sft": _sft,
    "distill": _distilled,
    "rl": _rewarded,
    "randopt": _randopt,
    "abliteration": _abliterated,
    "weight-decay": _decayed,
}


def row(run: Path, dose: Dose, *, full: bool = True) -> dict[str, Any]:
    """Compared with the merge, and audited against its parents."""
    parents = [str(run / "nex"), str(run / "base")]
    after = api.audit(str(dose.place), parents=parents, full=full).report
    later = after.post_training
    counted = () if isinstance(after.strata, Absent) else after.strata
    return {
        "kind": dose.kind,
        "settings": dose.settings,
        "dose": dose.dose,
        **asdict(compare(run / MERGE, dose.place)),
        "relation": after.verdict.relation,
        "status": after.verdict.status,
        "post_training": later.status,
        "off_replay": None if isinstance(later.changed_share, Absent) else later.changed_share.estimate,
        "replayed": sum(s.elements for s in counted),
    }


def main() -> None:
    """Measure what is missing; rows are kept after each kind."""
    parser = argparse.ArgumentParser(prog="python -m scripts.training.measure")
    parser.add_argument("run", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; all")
    given = parser.parse_args()
    target: Path = given.target
    rows: list[dict[str, Any]] = json.loads(target.read_text("utf-8")) if target.is_file() else []
    aside = target.parent / f"{target.stem}-models"
    for kind, made in KINDS.items():
        if any(r["kind"] == kind for r in rows) or (given.kinds and kind not in given.kinds):
            continue
        shutil.rmtree(aside, ignore_errors=True)
        for dose in made(given.run, aside, given.seed):
            rows.append(row(given.run, dose) | {"seed": given.seed})
            print(kind, rows[-1]["settings"], rows[-1]["share"], rows[-1]["post_training"], flush=True)
        target.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(aside, ignore_errors=True)


if __name__ == "__main__":
    main()
