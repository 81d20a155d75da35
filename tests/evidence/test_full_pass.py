"""The full pass counts what a sample of everything would, whatever the chunks and threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from parentage import api
from parentage.architectures.alignment import align
from parentage.architectures.roles import role_of
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import ReadError
from parentage.evidence.full import full_pass
from parentage.evidence.replaying import search as replay_search
from parentage.evidence.replaying.replays import Recipe, prepare, replay_tensor
from parentage.evidence.sampling.positions import Sampling, plan_sample
from parentage.evidence.sampling.reading import read_sample
from parentage.methods.linear import arithmetic, variants
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.dtypes import DType
from parentage.records.evidence import Evidence, Replay, ReplayTensor

SAMPLE = 4096
SHAPES = {"model.layers.0.mlp.up_proj.weight": (96, 512), "model.layers.1.mlp.up_proj.weight": (64, 300)}
FIRST, SECOND = SHAPES
SMALL = "model.norm.weight"
Bits = dict[str, np.ndarray]


def parent(seed: int, dtype: DType, base: Mapping[str, np.ndarray], delta: float = 3e-4) -> Bits:
    rng = np.random.default_rng(seed)
    return {n: round_to(v + delta * rng.standard_normal(v.size), dtype) for n, v in base.items()}


def base() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    sizes = {**{n: int(np.prod(s)) for n, s in SHAPES.items()}, SMALL: 300}
    return {n: 0.02 * rng.standard_normal(size) for n, size in sizes.items()}


def write(folder: Path, name: str, bits: Bits, dtype: DType) -> Path:
    shapes = {**SHAPES, SMALL: (300,)}
    path = folder / f"{name}.safetensors"
    write_safetensors(path, {n: StoredTensor(dtype, shapes[n], b) for n, b in bits.items()})
    return path


def blend(
    parents: Sequence[Bits],
    dtype: DType,
    weights: Sequence[float],
    rule: str = "fp32-fma",
    out: DType | None = None,
) -> Bits:
    apply = partial(arithmetic(rule).apply, weights, out_dtype=out or dtype)
    return {n: apply([to_float32(p[n], dtype) for p in parents]) for n in parents[0]}


class World:
    """Two or more parents, a merge of them, and the audits of it."""

    def __init__(
        self,
        folder: Path,
        dtype: DType = DType.BF16,
        weights: Sequence[float] = (0.6, 0.4),
        rule: str = "fp32-fma",
        out: DType | None = None,
    ) -> None:
        self.folder, self.dtype, self.out = folder, dtype, out or dtype
        middle = base()
        self.bits = [parent(10 + k, dtype, middle) for k in range(len(weights))]
        self.parents = [write(folder, f"parent-{k}", b, dtype) for k, b in enumerate(self.bits)]
        self.merge = blend(self.bits, dtype, weights, rule, self.out)

    def audit(self, **options: Any) -> Evidence:
        suspect = write(self.folder, "suspect", self.merge, self.out)
        chosen = {"sample": SAMPLE, "full": True, "workers": 1, "digests": False, **options}
        return api.audit(str(suspect), parents=[str(p) for p in self.parents], **chosen).evidence

    def sampled_whole(self, replay: Replay) -> list[ReplayTensor]:
        """The same recipe by the sampled pass, its sample being every element."""
        places = [self.folder / "suspect.safetensors", *self.parents]
        with ExitStack() as stack:
            models = [stack.enter_context(open_checkpoint(p)) for p in places]
            groups = {g.name: g for g in align(models[0], models[1:]).groups}
            found = []
            for t in replay.tensors:
                sample = read_sample(groups[t.name], models, Sampling(10**9, 0))
                operands = prepare(sample, 0, replay.parents, replay.cast)
                assert operands is not None
                # A tensor that the common recipe leaves unexplained may have its own arithmetic.
                rules = (arithmetic(replay.arithmetic), *variants(t.weights)[:2])
                recipes = [Recipe(replay.parents, t.weights, rule, replay.cast) for rule in rules]
                replays = [replay_tensor(t.name, operands, recipe) for recipe in recipes]
                found.append(max(replays, key=lambda r: r.matches))
        return found

    def change(self, name: str, places: Any, steps: int = 1) -> None:
        self.merge[name][places] += self.merge[name].dtype.type(steps)


def counts(tensor: ReplayTensor) -> tuple[Any, ...]:
    hits = (tensor.matches, tensor.informative, tensor.informative_matches, tensor.beyond_rounding)
    return (tensor.name, tensor.weights, tensor.examined, *hits, tensor.offsets)


def outside_the_sample(name: str) -> np.ndarray:
    """Places of a tensor that the sampled pass does not read."""
    elements = int(np.prod(SHAPES[name]))
    plan = plan_sample(name, role_of(name), SHAPES[name], Sampling(SAMPLE, 0))
    read = np.zeros(elements, bool)
    for start in plan.starts:
        read[start : start + plan.length] = True
    return np.flatnonzero(~read)


def tensor(evidence: Evidence, name: str) -> ReplayTensor:
    return next(t for t in evidence.replays[0].tensors if t.name == name)


def everything(evidence: Evidence) -> Any:
    return to_plain(evidence)


@pytest.mark.parametrize(
    ("dtype", "out", "rule", "weights", "share"),
    [
        pytest.param(DType.BF16, None, "fp32-fma", (0.6, 0.4), 0.0, marks=pytest.mark.slow),
        (DType.BF16, None, "fp32-fma", (0.6, 0.4), 0.2),
        (DType.BF16, None, "mergekit-0.1.4", (0.6, 0.4), 0.0),
        pytest.param(DType.F16, None, "fp32-sum", (0.3, 0.7), 0.2, marks=pytest.mark.slow),
        (DType.F32, DType.BF16, "fp32-fma", (0.6, 0.4), 0.0),
        (DType.F32, None, "fp32-fma", (0.6, 0.4), 0.0),
        (DType.BF16, None, "fp32-fma", (0.5, 0.3, 0.2), 0.0),
        (DType.BF16, DType.F8_E4M3, "fp32-fma", (0.6, 0.4), 0.0),
    ],
)
def test_it_counts_what_a_sample_of_every_element_counts(
    tmp_path: Path,
    dtype: DType,
    out: DType | None,
    rule: str,
    weights: tuple[float, ...],
    share: float,
) -> None:
    world = World(tmp_path, dtype, weights, rule, out)
    rng = np.random.default_rng(3)
    world.change(FIRST, rng.random(world.merge[FIRST].size) < share)
    found = world.audit().replays[0]
    wanted = world.sampled_whole(found)
    assert found.full
    assert [counts(t) for t in found.tensors] == [counts(t) for t in wanted]
    assert found.examined == sum(b.size for b in world.merge.values())
    assert found.informative_matches == sum(t.informative_matches for t in wanted)
    for one, other in zip(found.tensors, wanted, strict=True):
        assert one.novel_bits == pytest.approx(other.novel_bits, abs=0.05)
        assert share or one.novel_bits == 0.0


def test_neither_threads_nor_chunks_move_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.change(FIRST, outside_the_sample(FIRST)[::7])
    wanted = everything(world.audit())
    assert everything(world.audit(workers=3)) == wanted
    for chunk in (64, 1000):
        smaller = partial(full_pass.FullPass, chunk=chunk)
        monkeypatch.setattr(replay_search, "FullPass", smaller)
        assert everything(world.audit(workers=2)) == wanted


@pytest.mark.slow
def test_one_changed_element_that_no_sample_met_is_found(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.change(FIRST, outside_the_sample(FIRST)[12_345])
    sampled = tensor(world.audit(full=False), FIRST)
    assert sampled.matches == sampled.examined < world.merge[FIRST].size
    found = world.audit()
    replayed = tensor(found, FIRST)
    assert replayed.examined - replayed.matches == 1
    assert replayed.offsets[7] + replayed.offsets[9] == 1
    # What only the full pass saw was never sampled, and says so.
    assert isinstance(replayed.reach, Absent)
    assert "all elements" in replayed.reach.reason
    assert tensor(found, SECOND).matches == world.merge[SECOND].size


def test_a_tensor_with_weights_of_its_own_keeps_them(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.merge[SECOND] = blend(world.bits, DType.BF16, (0.25, 0.75))[SECOND]
    replay = world.audit().replays[0]
    by_name = {t.name: t for t in replay.tensors}
    assert {by_name[FIRST].weights, by_name[SECOND].weights} == {(0.6, 0.4), (0.25, 0.75)}
    assert replay.matches == replay.examined == sum(b.size for b in world.merge.values())


def test_coverage_counts_every_element_and_every_byte(tmp_path: Path) -> None:
    world = World(tmp_path)
    sampled, full = world.audit(full=False).coverage, world.audit().coverage
    assert full.elements_examined == full.elements == sum(b.size for b in world.merge.values())
    assert sampled.elements_examined < full.elements_examined
    large = [FIRST, SECOND]
    assert full.bytes_read - sampled.bytes_read == sum(3 * world.merge[n].nbytes for n in large)


def test_elements_that_are_not_finite_are_counted_as_left_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.merge[FIRST][::5003] = 0x7FC0
    lost = len(range(0, world.merge[FIRST].size, 5003))
    coverage = world.audit().coverage
    assert coverage.elements_examined == coverage.elements - lost
    assert [(n.tensor, n.reason.split()[0]) for n in coverage.not_examined] == [(FIRST, str(lost))]


def test_a_float32_file_with_one_number_beside_the_16_bit_grid_is_off_by_that_number(
    tmp_path: Path,
) -> None:
    world = World(tmp_path)
    world.out = DType.F32
    world.merge = {n: to_float32(b, DType.BF16).view(np.uint32) for n, b in world.merge.items()}
    assert tensor(world.audit(), FIRST).matches == world.merge[FIRST].size
    # Were one of them in the sample, the tensor would count as float32.
    places = outside_the_sample(FIRST)[::9001]
    world.change(FIRST, places)
    replayed = tensor(world.audit(), FIRST)
    assert replayed.examined - replayed.matches == places.size


def test_progress_is_told_in_mebibytes_and_ends_at_the_whole(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage.startswith("replaying every element"):
            seen.append((done, total))

    world = World(tmp_path)
    world.audit(progress=progress)
    large = sum(3 * world.merge[n].nbytes for n in SHAPES)
    assert seen[-1] == (large // 2**20, large // 2**20)


def test_a_file_cut_short_meanwhile_ends_the_pass_with_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    replay = full_pass.replay_every_element

    def cut_first(*arguments: Any) -> Any:
        with world.parents[1].open("r+b") as stream:
            stream.truncate(world.parents[1].stat().st_size - 60_000)
        return replay(*arguments)

    monkeypatch.setattr(replay_search, "replay_every_element", cut_first)
    with pytest.raises(ReadError) as raised:
        world.audit(workers=2)
    assert raised.value.code == "read-short"


def test_verify_derives_the_full_counts_again(tmp_path: Path) -> None:
    world = World(tmp_path)
    evidence = world.audit(digests=True)
    path = tmp_path / "evidence.json"
    api.save_evidence(evidence, path)
    assert api.verify(path).holds
    replay = evidence.replays[0]
    forged = tuple(replace(t, matches=t.matches - 1) if t.name == FIRST else t for t in replay.tensors)
    own = replace(replay, tensors=forged)
    api.save_evidence(replace(evidence, replays=(own, *evidence.replays[1:])), path)
    found = api.verify(path).values
    assert len(found) == 1
    assert FIRST in found[0].path
    assert (found[0].stored, found[0].derived) == (world.merge[FIRST].size - 1, world.merge[FIRST].size)


def test_control_replays_do_not_claim_to_cover_every_element(tmp_path: Path) -> None:
    world = World(tmp_path)
    control = write(tmp_path, "control", parent(99, DType.BF16, base()), DType.BF16)
    replays = world.audit(controls=[str(control)]).replays
    assert [r.full for r in replays] == [True, False]
