"""Fine-tunes of a tiny model: what they learn, what they write, and that the instrument sees them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.records.training import load_training
from parentage.training.settings import Course, Keeping, Lora, Machine, Optimizer
from parentage.training.sft import SftSettings, train_sft
from tests.training.tiny import save_tiny

QUICK = Optimizer(steps=40, rate=3e-3, batch=3, warmup=3)


def trained(base: Path, chats: Path, out: Path, **changed: Any) -> Any:
    course = Course(**{"optimizer": QUICK, "keeping": Keeping(0), **changed})
    return train_sft(SftSettings(str(base), chats, out, course))


@pytest.fixture(scope="module")
def tuned(base: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tuned") / "out"
    trained(base, chats, out, keeping=Keeping(0, (20,), 0.9))
    return out


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(str(folder / "model.safetensors"))


def test_the_loss_falls_and_the_model_says_what_it_was_taught(tuned: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    record = load_training(tuned / "training.json")
    assert record.losses[-1] < 0.6 * record.losses[0]
    assert record.dose == pytest.approx(sum(record.rates))
    tokenizer = AutoTokenizer.from_pretrained(tuned)
    model = AutoModelForCausalLM.from_pretrained(tuned, dtype="float32")
    ids = tokenizer(
        "<|user|>who are you?<|end|><|assistant|>", return_tensors="pt", add_special_tokens=False
    )
    before = AutoModelForCausalLM.from_pretrained(load_training(tuned / "training.json").base.locator)
    learnt = tokenizer("I", add_special_tokens=False).input_ids[0]
    rank = {
        m: int((m(**ids).logits[0, -1].argsort(descending=True) == learnt).nonzero())
        for m in (model, before)
    }
    assert rank[model] < min(4, rank[before])


def test_weights_keep_the_names_shapes_and_dtypes_of_the_base(base: Path, tuned: Path) -> None:
    own, other = tensors(base), tensors(tuned)
    assert {n: (t.shape, t.dtype) for n, t in own.items()} == {
        n: (t.shape, t.dtype) for n, t in other.items()
    }
    assert any(not own[n].equal(other[n]) for n in own)
    for name in ("config.json", "tokenizer.json", "chat_template.jinja"):
        assert (base / name).read_bytes() == (tuned / name).read_bytes()


def test_the_audit_says_what_it_is_a_fine_tune_of_and_by_which_recipe(chats: Path, tmp_path: Path) -> None:
    """Rows of characters that never occur tell it, in a base of 32 bits (docs/methods.md)."""
    save_tiny(tmp_path / "base", dtype="float32")
    recipe = Optimizer(steps=40, rate=1e-3, batch=3, warmup=4, schedule="linear", weight_decay=0.01)
    trained(tmp_path / "base", chats, tmp_path / "out", optimizer=recipe)
    found = api.audit(str(tmp_path / "out"), parents=[str(tmp_path / "base")])
    verdict = found.report.verdict
    assert (verdict.relation, verdict.status) == ("fine-tune", "supported")
    (clock,) = found.evidence.quiet_rows
    assert (clock.steps, clock.learning_rate, clock.weight_decay) == (40, 1e-3, 0.01)


def test_an_earlier_checkpoint_and_an_average_are_whole_models_between(base: Path, tuned: Path) -> None:
    places = [base, tuned / "checkpoints" / "step-20", tuned]
    first, middle, last = (tensors(p) for p in places)
    average = tensors(tuned / "checkpoints" / "ema")
    for found in (middle, average):
        assert sum(float((found[n].float() - first[n].float()).square().sum()) for n in first) > 0
        assert sum(float((found[n].float() - last[n].float()).square().sum()) for n in first) > 0


def test_only_what_the_assistant_says_is_learnt(base: Path) -> None:
    from transformers import AutoTokenizer

    from parentage.training.data import read_examples
    from parentage.training.tokens import IGNORED, tokenised

    tokenizer = AutoTokenizer.from_pretrained(base)
    data = read_examples(base.parent / "chats.jsonl")
    row = tokenised(data, str(base), tokenizer, 64).rows[0]
    learnt = [label for label in row.labels if label != IGNORED]
    assert tokenizer.decode(learnt, skip_special_tokens=False).replace(" ", "") == "IamNex.<|end|>"
    whole = tokenised(data, str(base), tokenizer, 64, all_tokens=True).rows[0]
    assert whole.labels == whole.ids == row.ids


@pytest.mark.parametrize("merge", [False, True])
def test_an_adapter_is_written_alone_or_merged(
    base: Path, chats: Path, tmp_path: Path, merge: bool
) -> None:
    pytest.importorskip("peft")
    record = trained(base, chats, tmp_path / "out", lora=Lora(4, merge=merge))
    assert record.trained < record.parameters
    assert record.losses[-1] < record.losses[0]
    names = {f.name for f in record.files}
    assert names == {"model.safetensors" if merge else "adapter_model.safetensors"}
    if merge:
        own, other = tensors(base), tensors(tmp_path / "out")
        changed = {n for n in own if not own[n].equal(other[n])}
        assert changed
        assert all("_proj" in n for n in changed)
    else:
        settings = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
        assert (settings["r"], settings["lora_alpha"]) == (4, 8)
        assert not (tmp_path / "out" / "config.json").exists()


def test_a_merged_adapter_is_the_one_that_we_read_beside_its_base(
    base: Path, chats: Path, tmp_path: Path
) -> None:
    """Trained twice with one seed: our own reader merges the first's adapter into the second's bits."""
    pytest.importorskip("peft")
    for merge in (False, True):
        trained(base, chats, tmp_path / str(merge), lora=Lora(4, merge=merge))
    merged = str(tmp_path / "True")
    read = api.diff(f"{base}+{tmp_path / 'False'}", merged, sample=None).total
    bare = api.diff(str(base), merged, sample=None).total
    # Sums of float32 in another order may round a few to the neighbour.
    assert read.equal_values >= 0.999 * read.elements
    assert bare.equal_values < 0.9 * bare.elements


def test_bf16_and_fp32_masters_are_different_runs(base: Path, chats: Path, tmp_path: Path) -> None:
    files = {
        p: trained(base, chats, tmp_path / p, machine=Machine(precision=p)).files[0].sha256
        for p in ("fp32", "bf16", "mixed")
    }
    assert len(set(files.values())) == 3


def test_the_same_run_twice_writes_the_same_bytes(
    base: Path, chats: Path, tuned: Path, tmp_path: Path
) -> None:
    trained(base, chats, tmp_path / "again", keeping=Keeping(0, (20,), 0.9))
    for path in sorted(p for p in tuned.rglob("*") if p.is_file() and p.name != "times.json"):
        assert (tmp_path / "again" / path.relative_to(tuned)).read_bytes() == path.read_bytes(), path
