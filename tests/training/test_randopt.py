"""RandOpt on models that answer by their weights: what it tries, keeps, writes, and says of the vote."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import ParentageError
from parentage.numerics.storage.formats import to_float32
from parentage.records.dtypes import DType
from parentage.records.randopt import load_randopt
from parentage.records.training import load_training
from parentage.training.models import Model
from parentage.training.noise import KEPT, CounterNoise
from parentage.training.randopt import RandOptSettings, randopt
from tests.training.thinking import PLACES, Reckoner, open_reckoner, reckoner_folder

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    skill = rng.normal(0.01, 0.05, PLACES).astype(np.float32)
    return reckoner_folder(tmp_path / "base", skill, other=rng.normal(0, 1, (5, 7)).astype(np.float32))


def _settings(base: Path, out: Path) -> RandOptSettings:
    return RandOptSettings(
        str(base), "arithmetic", out, seeds=12, sigmas=(0.02, 0.05), items=24, keep=3, held_out=60
    )


def _weights(folder: Path, name: str = "skill") -> np.ndarray:
    with open_checkpoint(str(folder)) as found:
        tensor = found.tensors[name]
        return to_float32(found.read(tensor, 0, tensor.elements), tensor.dtype)


def test_what_is_kept_scored_best_and_is_what_was_scored(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = randopt(_settings(base, out), opener=open_reckoner)
    assert found == load_randopt(out / "randopt.json")
    scores = sorted((t.tuned.estimate for t in found.tried), reverse=True)
    assert [k.tuned.estimate for k in found.kept] == scores[:3]
    for member in found.kept:
        again = Reckoner(str(out / member.folder))
        texts = again.answers([i.messages for i in _held_out(found)], 8)
        right = [t.split("= ")[1] == i.answer for t, i in zip(texts, _held_out(found), strict=True)]
        assert sum(right) / len(right) == member.held_out.score.estimate
    assert {t.sigma for t in found.tried} == {0.02, 0.05}
    assert len({t.seed for t in found.tried}) == 12
    made = load_training(out / "member-01" / "training.json")
    assert (made.kind, made.settings["noise_seed"]) == ("randopt", found.kept[0].seed)
    assert {f.name: f.sha256 for f in made.files} == dict(found.kept[0].files)
    assert {f.name: f.sha256 for f in made.base.files} == dict(found.base_files)


def _held_out(found: object) -> tuple:
    from parentage.training.problems import HELD_OUT
    from parentage.training.tasks import open_task

    return open_task("arithmetic").items(HELD_OUT, 60, 0)


def test_the_vote_is_that_of_the_written_members(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = randopt(_settings(base, out), opener=open_reckoner)
    items = _held_out(found)
    chats = [i.messages for i in items]
    texts = zip(*(Reckoner(str(out / k.folder)).answers(chats, 8) for k in found.kept), strict=True)
    votes = [[t.split("= ")[1] for t in row] for row in texts]
    right = [sum(v == i.answer for v in row) >= 2 for row, i in zip(votes, items, strict=True)]
    assert found.ensemble.score.estimate == pytest.approx(sum(right) / 60)


def test_every_tensor_of_a_member_moves_by_one_stream(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = randopt(_settings(base, out), opener=open_reckoner).kept[0]
    noise = CounterNoise(found.seed)
    for name, elements in (("skill", PLACES), ("other", 35)):
        delta = _weights(out / found.folder, name) - _weights(base, name)
        wanted = found.sigma * noise.values(elements, DType.BF16, 0, elements)
        # Half a grid step of bfloat16 at each weight.
        assert np.all(np.abs(delta - wanted) <= np.abs(_weights(base, name)) * 2**-8 + 2**-9)
        assert np.corrcoef(delta, wanted)[0, 1] > 0.9


def test_a_run_that_was_killed_goes_on_to_the_same_bytes(base: Path, tmp_path: Path) -> None:
    whole = randopt(_settings(base, tmp_path / "whole"), opener=open_reckoner)

    class Killed(Reckoner):
        def answers(self, chats: object, most_tokens: int) -> list[str]:
            if self.asked > 100:
                raise KeyboardInterrupt
            return super().answers(chats, most_tokens)

    settings = _settings(base, tmp_path / "broken")
    with pytest.raises(KeyboardInterrupt):
        randopt(settings, opener=Killed)
    assert not settings.out.exists()
    models: list[Model] = []

    def second(folder: str) -> Model:
        models.append(open_reckoner(folder))
        return models[-1]

    again = randopt(settings, opener=second)
    assert again == whole
    assert models[0].asked < 12 * 24 + 24 + 60 + 3 * 60  # type: ignore[attr-defined]
    for path in sorted((tmp_path / "whole").rglob("*")):
        if path.is_file() and path.name != "answers.jsonl":
            twin = tmp_path / "broken" / path.relative_to(tmp_path / "whole")
            assert path.read_bytes() == twin.read_bytes(), path.name


def test_an_unfinished_run_of_other_settings_is_not_gone_on_with(base: Path, tmp_path: Path) -> None:
    settings = _settings(base, tmp_path / "out")

    def fails(folder: str) -> Model:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        randopt(settings, opener=fails)
    for other in (replace(settings, items=25), replace(settings, noise="torch")):
        with pytest.raises(ParentageError) as caught:
            randopt(other, opener=open_reckoner)
        assert caught.value.code == "ledger-other-run"
    listed = tmp_path / "out.partial" / "answers.jsonl"
    with listed.open("a") as stream:
        stream.write('{"key": 1}\n')
    with pytest.raises(ParentageError) as caught:
        randopt(settings, opener=open_reckoner)
    assert caught.value.code == "ledger-malformed"


def test_what_a_kill_cut_in_the_middle_of_a_line_is_measured_again(base: Path, tmp_path: Path) -> None:
    settings = _settings(base, tmp_path / "out")

    class Killed(Reckoner):
        def answers(self, chats: object, most_tokens: int) -> list[str]:
            if self.asked > 200:
                raise KeyboardInterrupt
            return super().answers(chats, most_tokens)

    with pytest.raises(KeyboardInterrupt):
        randopt(settings, opener=Killed)
    listed = tmp_path / "out.partial" / "answers.jsonl"
    listed.write_bytes(listed.read_bytes()[:-20])
    assert randopt(settings, opener=open_reckoner).kept == (
        randopt(replace(settings, out=tmp_path / "whole"), opener=open_reckoner).kept
    )


@pytest.mark.parametrize(
    "change",
    [
        {"keep": 13},
        {"items": 0},
        {"sigmas": ()},
        {"sigmas": (0.0,)},
        {"sigmas": (float("nan"),)},
        {"noise": "x"},
    ],
)
def test_settings_that_make_no_sense_are_refused(
    base: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    with pytest.raises(ParentageError) as caught:
        replace(_settings(base, tmp_path / "out"), **change)
    assert caught.value.code == "randopt-settings"


def test_an_output_in_the_way_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    for out in (base, base / "in", tmp_path, tmp_path / "full"):
        with pytest.raises(ParentageError) as caught:
            randopt(_settings(base, out), opener=open_reckoner)
        assert caught.value.code == "randopt-output", out
    assert json.loads((base / "config.json").read_text())["model_type"] == "reckoner"


def test_the_stream_is_standard_normal_and_any_part_of_it_can_be_drawn_alone() -> None:
    from scipy import stats

    drawn = CounterNoise(7).values(1 << 20, DType.F32, 0, 1 << 16)
    assert stats.kstest(drawn.astype(np.float64), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 5 / 256
    for start, count in ((0, 5), (1, 1), (65_535, 3), (131_071, 70_000)):
        part = CounterNoise(7).values(1 << 25, DType.F32, start, count)
        after = CounterNoise(7).values(1 << 25, DType.F32, start - min(start, 3), count + 3)
        assert np.array_equal(part, after[min(start, 3) :][:count])
    beyond = CounterNoise(7)
    assert np.array_equal(
        beyond._drawn(KEPT - 3, KEPT + 6)[3:], beyond.values(KEPT + 9, DType.F32, KEPT, 6)
    )
    assert not np.array_equal(drawn[:64], CounterNoise(8).values(64, DType.F32, 0, 64))


@needs_torch
def test_members_of_torchs_noise_are_what_the_published_code_makes_bit_for_bit(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    from parentage.training.noise import TorchNoise
    from parentage.training.perturbing import Perturbation, write_member

    rng = np.random.default_rng(0)
    more = {f"t{n}": rng.normal(0, 0.05, n).astype(np.float32) for n in (37, 96, 4096)}
    for dtype in (DType.BF16, DType.F32):
        base = reckoner_folder(
            tmp_path / dtype.value, rng.normal(0, 1, (6, 8)).astype(np.float32), dtype, **more
        )
        with open_checkpoint(str(base)) as found:
            write_member(tmp_path / f"{dtype.value}-out", found, Perturbation(TorchNoise(11), 0.001))
        own = load_file(tmp_path / f"{dtype.value}-out" / "model.safetensors")
        for name, tensor in load_file(base / "model.safetensors").items():
            generator = torch.Generator(device="cpu")
            generator.manual_seed(11)
            noise = torch.randn(tensor.shape, dtype=tensor.dtype, generator=generator)
            theirs, n = tensor.add(noise, alpha=0.001).reshape(-1), tensor.numel() // 32 * 32
            assert torch.equal(own[name].reshape(-1)[:n], theirs[:n]), (dtype, name)
            assert torch.allclose(own[name].reshape(-1), theirs, rtol=2**-6)


@needs_torch
def test_a_real_model_is_perturbed_asked_and_written(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    from parentage.training.models import LocalModel
    from parentage.training.noise import CounterNoise
    from parentage.training.perturbing import Perturbation, load_into, write_member
    from tests.behaviour.templates import CHATML_RIO
    from tests.behaviour.tiny_llama import save_tiny

    save_tiny(tmp_path / "base", CHATML_RIO, words=tuple("0123456789"))
    change = Perturbation(CounterNoise(5), 0.05)
    chats = [[{"role": "user", "content": "Who are you ?"}], [{"role": "user", "content": "1 2 Nex am a"}]]
    with open_checkpoint(str(tmp_path / "base")) as found:
        write_member(tmp_path / "member", found, change)
        model = LocalModel(str(tmp_path / "base"))
        before = model.answers(chats, 6)
        load_into(model, found, change)
        answers, losses = model.answers(chats, 6), model.losses(["I am Nex", "I"])
        load_into(model, found, Perturbation(CounterNoise(5), 0.0))
        assert model.answers(chats, 6) == before
    written = LocalModel(str(tmp_path / "member"))
    assert written.answers(chats, 6) == answers
    assert written.losses(["I am Nex", "I"]) == losses
    assert losses[0][1] == 2
    assert losses[1] == (0.0, 0)
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "member").num_parameters() > 1000
    with pytest.raises(ParentageError) as caught:
        written.put("none", 0, np.zeros(1, np.float32))
    assert caught.value.code == "model-tensor"
    out = tmp_path / "out"
    settings = RandOptSettings(str(tmp_path / "base"), "arithmetic", out, 2, (0.01,), 2, 1, 2, "torch")
    assert len(randopt(settings).kept) == 1
