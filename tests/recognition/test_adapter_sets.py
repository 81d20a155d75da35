"""Known adapters over one base, combined: weights are found by replay, and of nothing else is it said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from parentage import api, labels
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.evidence.recognition.adapters.finding import ADAPTERS
from parentage.merging.recipe_writing import recipe_text
from parentage.merging.recovered_adapters import combined_recipe
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.records.dtypes import DType
from parentage.records.recognition import Finding
from tests.merging.models import recipe_file
from tests.worlds.fixtures import FOLDER

MODULES = ("attention.self.query", "attention.self.value", "intermediate.dense")
RANK = 4
MODULE = "layer.dense.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    shutil.copy(FOLDER / "mergekit" / "O.safetensors", folder / "model.safetensors")
    return folder


def tensors(folder: Path) -> dict[str, StoredTensor]:
    with open_checkpoint(folder) as found:
        return {
            n: StoredTensor(t.dtype, t.shape, found.read(t, 0, t.elements))
            for n, t in found.tensors.items()
        }


def adapter(folder: Path, base: Path, seed: int, *, modules: Sequence[str] = MODULES) -> Path:
    """Random factors of size .02, alpha twice the rank."""
    rng, stored = np.random.default_rng(seed), dict[str, StoredTensor]()
    folder.mkdir()
    for name, tensor in tensors(base).items():
        module = name.removesuffix(".weight")
        if name.endswith(".weight") and module.endswith(tuple(modules)):
            for part, shape in (("A", (RANK, tensor.shape[1])), ("B", (tensor.shape[0], RANK))):
                numbers = rng.normal(0, 0.02, shape).astype(np.float32)
                full = f"base_model.model.{module}.lora_{part}.weight"
                stored[full] = StoredTensor(DType.F32, shape, numbers.view(np.uint32).reshape(-1))
    write_safetensors(folder / "adapter_model.safetensors", stored)
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK, "target_modules": list(modules)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def pair(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    # The second leaves one kind of module alone.
    return adapter(folder / "one", base, 1), adapter(folder / "two", base, 2, modules=MODULES[1:])


def made(
    folder: Path, base: Path, weights: Mapping[Path, float], method: str = "adapter_cat", **more: Any
) -> Path:
    recipe = {
        "merge_method": method,
        "base_model": str(base),
        "adapters": [{"adapter": str(a), "weight": w} for a, w in weights.items()],
        **more,
    }
    api.merge(recipe_file(folder / "r", recipe), folder / "out", api.MergeOptions())
    return folder / "out"


def found_in(suspect: Path, base: Path, adapters: Sequence[Path]) -> Mapping[str, Any] | None:
    """What the recogniser measures, given what an audit knows of every tensor."""
    found = finding_in(suspect, base, adapters)
    return None if found is None else found.measures


def finding_in(suspect: Path, base: Path, adapters: Sequence[Path]) -> Finding | None:
    with ExitStack() as stack:
        places = [str(suspect), *(f"{base}+{a}" for a in adapters)]
        opened = [stack.enter_context(open_checkpoint(p)) for p in places]
        names = list(opened[0].tensors)
        bits = [{n: c.read(n, 0, c.tensors[n].elements) for n in names} for c in opened]
        told = [
            SimpleNamespace(
                name=n,
                present=range(len(opened)),
                finite=bits[0][n].size,
                equal=[int(np.count_nonzero(b[n] == bits[0][n])) for b in bits[1:]],
            )
            for n in names
        ]
        groups = {
            n: SimpleNamespace(suspect=opened[0].tensors[n], others=[c.tensors[n] for c in opened[1:]])
            for n in names
        }
        context: Any = SimpleNamespace(
            sources=tuple(range(1, len(opened))),
            checkpoints=opened,
            tensors=told,
            groups=groups,
            full=False,
        )
        findings = ADAPTERS.find(context)
    return findings[0] if findings else None


@pytest.mark.parametrize("profile", ["peft", "parentage-1"])
@pytest.mark.parametrize("method", ["adapter_cat", "adapter_linear"])
def test_two_adapters_are_found_with_their_weights(
    method: str, profile: str, base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    given = {"parentage": {"profile": profile}}
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45}, method, **given)
    found = found_in(suspect, base, pair)
    assert found is not None
    assert (found["weights"], found["method"]) == ([0.7, -0.45], method)
    assert (found["ranks"], found["scalings"]) == ([RANK, RANK], [2.0, 2.0])
    assert found["matches"] == found["informative"] > 10_000
    assert found["elsewhere"] == 0


def test_one_adapter_at_part_of_its_strength_is_found_beside_one_that_has_no_part_in_it(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    suspect = made(tmp_path, base, {pair[0]: 0.35}, "adapter_linear", parentage={"profile": "peft"})
    for given in (pair[:1], pair):
        found = found_in(suspect, base, given)
        assert found is not None
        assert found["weights"] == [0.35]


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("adapter_ties", {"parameters": {"density": 0.45}}),
        ("adapter_cat", {}),
        ("adapter_svd", {}),
    ],
)
@pytest.mark.slow
def test_an_audit_names_the_adapters_and_the_recipe_it_writes_gives_every_bit(
    method: str, more: Mapping[str, Any], base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    given = {"parentage": {"profile": "peft"}, **more}
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45}, method, **given)
    done = api.audit(str(suspect), parents=[str(a) for a in pair], base=str(base), workers=1, sample=512)
    verdict = done.report.verdict
    assert (verdict.relation, verdict.status) == ("adapter-fine-tune", "supported")
    assert "(rank 4, scaling 2) at weight 0.7" in verdict.sentence
    assert "at weight -0.45" in verdict.sentence
    recipe = tmp_path / "found.yaml"
    recipe.write_text(api.render_recipe(done.evidence))
    assert f"merge_method: {method}\n" in recipe.read_text()
    again = api.replay(recipe, str(suspect))
    assert again.holds
    assert again.matches == again.elements
    check_label_from_evidence(suspect, done, base, pair, tmp_path)


def check_label_from_evidence(
    suspect: Path, done: api.AuditResult, base: Path, adapters: Sequence[Path], folder: Path
) -> None:
    """The audit's evidence labels the suspect with the base, each adapter and their own files."""
    for path in suspect.iterdir():
        if path.name != "model.safetensors":
            path.unlink()
    api.save_evidence(done.evidence, folder / "evidence.json")
    record = labels.label(suspect, evidence=folder / "evidence.json")
    assert [(p.name, p.base) for p in record.parents] == [
        (str(base), True),
        *((str(a), False) for a in adapters),
    ]
    for parent, place in zip(record.parents, (base, *adapters), strict=True):
        wanted = [(p.name, sha256(p.read_bytes()).hexdigest()) for p in place.glob("*.safetensors")]
        assert [(f.name, f.sha256) for f in parent.files] == wanted
    assert record.basis is not None
    assert record.basis.matches == record.basis.elements > 0
    assert not labels.verify_label(suspect).mismatches


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_what_peft_itself_put_side_by_side_is_told_replayed_and_labelled(
    dtype: str, tmp_path: Path
) -> None:
    torch, peft = pytest.importorskip("torch"), pytest.importorskip("peft")
    save = pytest.importorskip("safetensors.torch").save_file
    torch.manual_seed(3)
    net = torch.nn.ModuleDict({n: torch.nn.Linear(64, 96, bias=False) for n in ("query", "value", "other")})
    net = net.to(getattr(torch, dtype))
    held = {k: v.clone() for k, v in net.state_dict().items()}
    for place in ("base", "suspect"):
        (tmp_path / place).mkdir()
    save(held, tmp_path / "base" / "model.safetensors")
    chosen = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=["query", "value"])
    model = peft.PeftModel(net, chosen, adapter_name="one")
    model.add_adapter("two", chosen)
    for name, values in model.named_parameters():
        if "lora_" in name:
            values.data = torch.randn(values.shape).to(values.dtype) * 0.05
    model.save_pretrained(tmp_path / "adapters")
    model.base_model.add_weighted_adapter(["one", "two"], [0.7, -0.45], "both", combination_type="cat")
    merged = model.base_model.merge_and_unload(adapter_names=["both"])
    save(
        {k: v.clone().contiguous() for k, v in merged.state_dict().items()},
        tmp_path / "suspect" / "model.safetensors",
    )
    base, suspect = tmp_path / "base", tmp_path / "suspect"
    pair = [tmp_path / "adapters" / name for name in ("one", "two")]
    done = api.audit(str(suspect), parents=[str(a) for a in pair], base=str(base), workers=1, sample=512)
    assert (done.report.verdict.relation, done.report.verdict.status) == ("adapter-fine-tune", "supported")
    recipe = tmp_path / "found.yaml"
    recipe.write_text(api.render_recipe(done.evidence))
    assert "merge_method: adapter_cat\n" in recipe.read_text()
    again = api.replay(recipe, str(suspect))
    assert again.holds
    assert again.matches == again.elements == 3 * 64 * 96
    check_label_from_evidence(suspect, done, base, pair, tmp_path)


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("adapter_svd", {}),
        ("adapter_magnitude_prune_svd", {"parameters": {"density": 0.3}}),
        pytest.param(
            "adapter_dare_ties",
            {"parameters": {"density": 0.6}, "parentage": {"profile": "peft", "seed": 42}},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_the_recipe_of_what_is_found_gives_every_bit(
    method: str, more: Mapping[str, Any], base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    given = {"parentage": {"profile": "peft"}, **more}
    # Of modules that both adapters change.
    both = [
        adapter(tmp_path / name, base, seed, modules=MODULES[:1]) for name, seed in (("x", 3), ("y", 4))
    ]
    suspect = made(tmp_path, base, {both[0]: 0.7, both[1]: -0.45}, method, **given)
    found = finding_in(suspect, base, both)
    assert found is not None
    recipe = combined_recipe(found, [f"{base}+{a}" for a in both])
    assert recipe.method == method
    path = tmp_path / "found.yaml"
    path.write_text(recipe_text(recipe))
    again = api.replay(path, str(suspect))
    assert again.holds
    assert again.matches == again.elements


def with_change(suspect: Path, out: Path, name_part: str, size: float, share: float) -> Path:
    """Some numbers of the tensors of that name moved by ``size`` of the tensor's spread."""
    rng, stored = np.random.default_rng(5), tensors(suspect)
    for name, tensor in stored.items():
        if name_part in name and len(tensor.shape) == 2:
            values = to_float32(tensor.bits, tensor.dtype).astype(np.float64)
            moved = values + size * values.std() * rng.standard_normal(values.size)
            chosen = np.where(rng.random(values.size) < share, moved, values)
            stored[name] = StoredTensor(tensor.dtype, tensor.shape, round_to(chosen, tensor.dtype))
    out.mkdir()
    write_safetensors(out / "model.safetensors", stored)
    return out


@pytest.mark.parametrize(
    ("part", "share"),
    [("query", 0.001), pytest.param("query", 1.0, marks=pytest.mark.slow), ("word_embeddings", 0.01)],
)
def test_a_combination_that_was_trained_on_is_not_said_to_be_one(
    part: str, share: float, base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45})
    found = found_in(with_change(suspect, tmp_path / "later", part, 0.05, share), base, pair)
    # What was changed elsewhere alone is counted, and then no verdict rests on it.
    assert (found is None) == (part == "query")
    assert found is None or found["elsewhere"] == 1


def test_a_fine_tune_whose_change_is_nearly_of_low_rank_is_none(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """A full fine-tune along an adapter's own direction, with a tail of full rank beside it."""
    alone = made(tmp_path, base, {pair[0]: 1.0}, "adapter_linear")
    suspect = tmp_path / "tuned"
    for k, part in enumerate(("query", "value", "intermediate")):
        alone = with_change(alone, suspect.with_name(f"tuned-{k}"), part, 0.01, 1.0)
    assert found_in(alone, base, pair) is None


def test_adapters_that_have_no_part_in_it_are_not_named(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    others = [adapter(tmp_path / name, base, seed) for name, seed in (("x", 11), ("y", 12))]
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45})
    assert found_in(suspect, base, others) is None


QUICK = ("ties", "svd", "magnitude_prune_svd", "dare_linear")
COMBINED = json.loads((FOLDER / "methods" / "peft-combined.json").read_text())


@pytest.fixture(scope="module")
def by_peft(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A base of one matrix, four adapters over it, and what peft itself combined, by number."""
    folder = tmp_path_factory.mktemp("by-peft")
    with open_checkpoint(FOLDER / "methods" / "operands.safetensors") as found:
        matrix = found.tensors["O/matrix"]
        values = to_float32(found.read(matrix, 0, matrix.elements), matrix.dtype)
    with open_checkpoint(FOLDER / "methods" / "peft-combined.safetensors") as found:
        held = {
            n: StoredTensor(t.dtype, t.shape, found.read(t, 0, t.elements))
            for n, t in found.tensors.items()
        }
    for dtype in (DType.BF16, DType.F32):
        stored = StoredTensor(dtype, matrix.shape, round_to(values.astype(np.float64), dtype))
        write_safetensors(folder / f"base-{dtype.value}.safetensors", {MODULE: stored})
    for root in (False, True):
        for name, rank in COMBINED["ranks"].items():
            place = folder / f"{name}-{root}"
            place.mkdir()
            parts = {
                f"base_model.model.{MODULE.removesuffix('.weight')}.lora_{p}.weight": held[f"{name}/{p}"]
                for p in "AB"
            }
            write_safetensors(place / "adapter_model.safetensors", parts)
            config = {"peft_type": "LORA", "r": rank, "lora_alpha": COMBINED["alphas"][name]}
            (place / "adapter_config.json").write_text(json.dumps({**config, "use_rslora": root}))

    def case(k: int) -> tuple[Path, Path, list[Path]]:
        recipe = COMBINED["recipes"][k]
        suspect = folder / f"suspect-{k}.safetensors"
        write_safetensors(suspect, {MODULE: held[str(k)]})
        places = [folder / f"{name}-{recipe['root']}" for name in recipe["names"]]
        return suspect, folder / f"base-{recipe['dtype']}.safetensors", places

    return case


def _case(k: int) -> Any:
    recipe = COMBINED["recipes"][k]
    words = [recipe["type"], "".join(recipe["names"]), recipe["dtype"], *map(str, recipe["more"].values())]
    # One of each way of thinning and each way of adding up; the others show the same.
    quick = recipe["dtype"] == "BF16" and recipe["names"] == "ab" and recipe["type"] in QUICK
    return pytest.param(k, id="-".join(words), marks=[] if quick else pytest.mark.slow)


@pytest.mark.parametrize("k", [_case(k) for k in range(len(COMBINED["recipes"]))])
def test_what_peft_combined_is_told_with_its_numbers(k: int, by_peft: Any) -> None:
    recipe = COMBINED["recipes"][k]
    found = found_in(*by_peft(k))
    assert found is not None
    wanted = dict(recipe["more"])
    if wanted.pop("majority_sign_method", "") == "frequency":
        wanted["by_count"] = True
    assert found["weights"] == list(recipe["weights"])
    for (low, high), weight in zip(found["ranges"], recipe["weights"], strict=False):
        assert low < weight < high
    whole = sum(COMBINED["ranks"][n] for n in recipe["names"])
    if wanted.get("svd_rank", 0) >= whole:
        # Nothing is cut back: the weighted sum, however many ranks it was given.
        either = [("adapter_cat", {}), ("adapter_svd", {"svd_rank": whole})]
        assert (found["method"], found["shared"]) in either
        return
    assert (found["method"], found["shared"]) == (f"adapter_{recipe['type']}", wanted)
    assert found.get("seed") == (COMBINED["seed"] if "dare" in recipe["type"] else None)
    # Singular vectors are peft's own to their last bits; of the rest none is off.
    assert found["adjacent"] == 0 or recipe["type"].endswith("svd")


def test_an_adapter_that_was_thinned_by_no_seed_that_is_tried_is_not_named(
    base: Path, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    """Which numbers stayed is in no recipe then."""
    more = {"parameters": {"density": 0.5}, "parentage": {"profile": "parentage-1", "seed": 987_654_321}}
    suspect = made(tmp_path, base, {pair[0]: 0.7, pair[1]: -0.45}, "adapter_dare_linear", **more)
    assert found_in(suspect, base, pair) is None
