"""What lies in a checkpoint: headers, side files, numbers that are not what their dtype says."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save_file
from typer.testing import CliRunner, Result

from parentage.checkpoints.opening import open_checkpoint
from parentage.cli.main import app
from parentage.cli.tables import print_inspection
from parentage.evidence.inspection import inspect_checkpoint
from parentage.numerics.storage.formats import quantize
from parentage.records.absence import Absent
from parentage.records.codec import from_plain, to_plain
from parentage.records.dtypes import DType
from parentage.records.inspection import InspectedTensor, Inspection, Numbers

HOSTILE = "[bold red]layer[/]\x1b[31m\u202e.weight"
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def console_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """As wide as for a pipe, whatever the machine's terminal is."""
    monkeypatch.setenv("COLUMNS", "160")


def write(
    folder: Path,
    tensors: Mapping[str, NDArray[Any]],
    config: object = None,
    metadata: dict[str, str] | None = None,
    name: str = "model.safetensors",
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(tensors), folder / name, metadata)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def look(path: Path, **options: Any) -> Inspection:
    with open_checkpoint(path) as checkpoint:
        return inspect_checkpoint(checkpoint, **{"digests": False, **options})


def tensor(found: Inspection, name: str) -> InspectedTensor:
    return next(t for t in found.tensors if t.name == name)


def numbers(found: Inspection, name: str) -> Numbers:
    told = tensor(found, name).numbers
    assert isinstance(told, Numbers)
    return told


def normal(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def as_stored(values: NDArray[np.float32], dtype: DType) -> NDArray[np.float32]:
    """The same numbers after storage in a narrower dtype, kept in float32."""
    flat = quantize(values.astype(np.float64).ravel(), dtype)
    return flat.astype(np.float32).reshape(values.shape)


def test_tensors_are_told_by_component_role_and_layer(tmp_path: Path) -> None:
    tensors = {
        f"model.layers.{k}.self_attn.q_proj.weight": normal(8, 8).astype(np.float16) for k in range(3)
    }
    tensors["model.embed_tokens.weight"] = normal(10, 8).astype(np.float16)
    tensors["model.norm.weight"] = normal(8)
    found = look(write(tmp_path, tensors))
    assert (found.total.tensors, found.total.layers) == (5, 3)
    assert (found.total.elements, found.total.size) == (3 * 64 + 80 + 8, 2 * (3 * 64 + 80) + 4 * 8)
    rows = {(r.component, r.dtype): (r.tensors, r.layers, r.elements, r.size) for r in found.components}
    assert rows == {
        ("attention", "F16"): (3, 3, 192, 384),
        ("embedding", "F16"): (1, 0, 80, 160),
        ("norm", "F32"): (1, 0, 8, 32),
    }
    own = tensor(found, "model.layers.1.self_attn.q_proj.weight")
    assert (own.role, own.component, own.layer, own.shape) == ("attention.q", "attention", 1, (8, 8))
    assert own.end - own.begin == own.size == 128


def test_the_dtype_that_numbers_really_have_is_found(tmp_path: Path) -> None:
    wide = normal(100, 100)
    tensors = {
        "a.bf16": as_stored(wide, DType.BF16),
        "b.f16": as_stored(wide, DType.F16),
        "c.f32": wide,
        "d.zero": np.zeros((10, 10), np.float32),
        "e.double": wide.astype(np.float64),
        "f.ids": np.arange(5),
    }
    found = look(write(tmp_path, tensors))
    told = {name: numbers(found, name).effective_dtype for name in sorted(tensors)[:5]}
    assert told == {"a.bf16": "BF16", "b.f16": "F16", "c.f32": "F32", "d.zero": "F32", "e.double": "F32"}
    assert isinstance(tensor(found, "f.ids").numbers, Absent)
    assert (numbers(found, "a.bf16").examined, numbers(found, "a.bf16").whole) == (4096, False)
    assert (numbers(found, "d.zero").zeros, numbers(found, "d.zero").whole) == (100, True)


def test_one_number_that_does_not_fit_is_seen_when_all_are_read(tmp_path: Path) -> None:
    values = as_stored(normal(200, 200), DType.BF16)
    unread = values.copy()
    unread[-1, -1] = 0.1
    assert numbers(look(write(tmp_path, {"w": unread})), "w").effective_dtype == "BF16"
    assert numbers(look(tmp_path, digests=True), "w").effective_dtype == "F32"


def test_digests_are_those_of_the_bytes(tmp_path: Path) -> None:
    values = normal(100, 100)
    found = look(write(tmp_path, {"w": values}), digests=True)
    raw = (tmp_path / "model.safetensors").read_bytes()
    assert found.weight_files[0].sha256 == hashlib.sha256(raw).hexdigest()
    assert found.weight_files[0].size == len(raw)
    assert tensor(found, "w").checksum == f"{zlib.crc32(values.tobytes()):08x}"
    assert (numbers(found, "w").examined, numbers(found, "w").whole) == (10_000, True)
    plain = look(tmp_path)
    assert isinstance(plain.weight_files[0].sha256, Absent)
    assert isinstance(tensor(plain, "w").checksum, Absent)


def test_files_beside_the_weights_and_what_they_claim_are_listed(tmp_path: Path) -> None:
    config = {"model_type": "bert", "num_hidden_layers": 2, "_name_or_path": "maker/base", "x": [1]}
    write(tmp_path, {"w": normal(4)}, config, {"format": "pt"})
    (tmp_path / "README.md").write_text("---\nbase_model: maker/other\n---\n")
    for name in ("tokenizer.json", "vocab.txt", "chat_template.jinja", "mergekit_config.yml", "LICENSE"):
        (tmp_path / name).write_text("{}")
    found = look(tmp_path)
    assert {f.name: f.kind for f in found.side_files} == {
        "README.md": "card",
        "config.json": "config",
        "tokenizer.json": "tokenizer",
        "vocab.txt": "tokenizer",
        "chat_template.jinja": "template",
        "mergekit_config.yml": "recipe",
        "LICENSE": "licence",
    }
    assert found.declared == ("maker/other", "maker/base")
    assert found.config == {"model_type": "bert", "num_hidden_layers": 2, "_name_or_path": "maker/base"}
    assert found.metadata == {"format": "pt"}


def test_a_checkpoint_without_config_says_so(tmp_path: Path) -> None:
    assert isinstance(look(write(tmp_path, {"w": normal(4)})).config, Absent)


def test_a_language_models_config_one_level_down_is_read(tmp_path: Path) -> None:
    config = {"model_type": "vl", "text_config": {"model_type": "inner", "num_hidden_layers": 1}}
    found = look(write(tmp_path, {"layers.0.w": normal(4)}, config))
    assert found.config == {"model_type": "vl", "num_hidden_layers": 1}
    assert found.oddities == ()


@pytest.mark.parametrize(
    ("tensors", "config", "oddity"),
    [
        ({"w": np.zeros((0, 3), np.float32)}, None, "w: no elements"),
        ({"w": np.array([1, np.nan, np.inf, -np.inf], np.float32)}, None, "w: 1 NaN and 2 infinite"),
        ({"w": np.zeros(9, np.float32)}, None, "w: nothing but zeros"),
        (
            {"layers.0.w": np.ones(3, np.float32), "layers.3.w": np.ones(3, np.float32)},
            None,
            "2 of the layers 0 to 3 hold no tensor",
        ),
        (
            {"layers.0.w": normal(3)},
            {"num_hidden_layers": 6},
            "config.json says num_hidden_layers 6, the weights hold 1 layers",
        ),
        (
            {"w": normal(30)},
            {"torch_dtype": "bfloat16"},
            "config.json says bfloat16, most numbers are stored as F32",
        ),
        (
            {"w": as_stored(normal(30), DType.BF16)},
            None,
            "F32 files carry BF16 numbers: 100.0% of all lie in such tensors",
        ),
    ],
)
def test_what_is_odd_is_said(
    tmp_path: Path, tensors: dict[str, NDArray[Any]], config: object, oddity: str
) -> None:
    assert oddity in look(write(tmp_path, tensors, config)).oddities


def test_an_ordinary_checkpoint_has_no_oddities(tmp_path: Path) -> None:
    tensors = {f"layers.{k}.mlp.up_proj.weight": normal(70, 70) for k in range(3)}
    tensors |= {f"layers.{k}.mlp.up_proj.bias": np.zeros(70, np.float32) for k in range(3)}
    config = {"num_hidden_layers": 3, "torch_dtype": "float32"}
    assert look(write(tmp_path, tensors, config), digests=True).oddities == ()


def test_nan_far_into_a_tensor_is_counted_when_all_are_read(tmp_path: Path) -> None:
    values = normal(300, 300)
    values[-1, -1] = np.nan
    found = look(write(tmp_path, {"w": values}), digests=True)
    assert "w: 1 NaN and 0 infinite" in found.oddities
    assert numbers(found, "w").effective_dtype == "F32"


def test_tensors_of_the_same_bytes_are_named(tmp_path: Path) -> None:
    same = normal(70, 70)
    tensors = {"embed_tokens.weight": same, "lm_head.weight": same.copy(), "x": normal(70, 70)}
    found = look(write(tmp_path, tensors), digests=True)
    assert found.oddities == ("lm_head.weight: the same checksum as embed_tokens.weight",)


def test_many_odd_tensors_are_counted_and_not_all_named(tmp_path: Path) -> None:
    tensors = {f"w{k:02d}": np.zeros(0, np.float32) for k in range(20)}
    found = look(write(tmp_path, tensors))
    assert len(found.oddities) == 9
    assert found.oddities[-1] == "and 12 more tensors: no elements"


def test_a_name_that_claims_a_distant_layer_floods_nothing(tmp_path: Path) -> None:
    found = look(write(tmp_path, {"layers.0.w": normal(4), "layers.999999.w": normal(4)}))
    assert found.oddities == ("999,998 of the layers 0 to 999,999 hold no tensor",)


def test_workers_move_nothing(tmp_path: Path) -> None:
    write(tmp_path, {f"w{k}": normal(80, 80) for k in range(6)})
    assert look(tmp_path, digests=True, workers=3) == look(tmp_path, digests=True)


def test_memory_does_not_grow_with_the_tensor(tmp_path: Path) -> None:
    header = b'{"w":{"dtype":"BF16","shape":[60000000],"data_offsets":[0,120000000]}}'
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with path.open("r+b") as stream:
        stream.truncate(8 + len(header) + 120_000_000)
    tracemalloc.start()
    try:
        found = look(path, digests=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert numbers(found, "w").zeros == 60_000_000
    assert peak < 60_000_000


def test_the_record_survives_its_own_json(tmp_path: Path) -> None:
    found = look(write(tmp_path, {"w": normal(4), "ids": np.arange(3)}, {"model_type": "bert"}))
    assert from_plain(Inspection, json.loads(json.dumps(to_plain(found)))) == found


def test_hostile_names_are_printed_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = {"model_type": HOSTILE}
    write(tmp_path, {HOSTILE: np.zeros(4, np.float32)}, config, {"format": "pt", HOSTILE: HOSTILE})
    print_inspection(look(tmp_path), limit=0)
    printed = capsys.readouterr().out
    # The tensor, its oddity, the config's value, and the metadata's key and value.
    assert printed.count("[bold red]layer[/]\\x1b[31m\\u202e.weight") == 5
    assert "\x1b" not in printed
    assert "\u202e" not in printed


def test_layers_are_listed_in_the_order_of_their_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, {f"layers.{k}.w": normal(4) for k in range(12)})
    print_inspection(look(tmp_path), limit=11)
    printed = capsys.readouterr().out
    assert printed.index("layers.2.w") < printed.index("layers.10.w")
    assert "layers.11.w" not in printed
    assert "and 1 more: --limit 0 or --json shows all" in printed


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["inspect", *map(str, arguments)])


def test_the_command_prints_json_for_pipes(tmp_path: Path) -> None:
    write(tmp_path, {"w": normal(4), HOSTILE: normal(4)})
    outcome = run(tmp_path, "--json", "--digests")
    assert outcome.exit_code == 0, outcome.output
    plain = json.loads(outcome.stdout)
    assert (plain.pop("schema"), plain.pop("version")) == ("parentage.inspection", 1)
    found = from_plain(Inspection, plain)
    assert [t.name for t in found.tensors] == sorted(["w", HOSTILE])
    assert isinstance(found.weight_files[0].sha256, str)


def test_the_command_prints_what_a_reader_asks_for(tmp_path: Path) -> None:
    write(tmp_path, {f"layers.{k}.mlp.up_proj.weight": normal(4, 4) for k in range(4)})
    outcome = run(tmp_path, "--limit", "2")
    assert outcome.exit_code == 0, outcome.output
    assert "4 tensors, 4 layers, 64 numbers, 256 bytes" in outcome.stdout
    assert "layers.1.mlp.up_proj.weight" in outcome.stdout
    assert "layers.2.mlp.up_proj.weight" not in outcome.stdout
    assert "and 2 more" in outcome.stdout


def test_help_gives_examples() -> None:
    outcome = run("--help")
    assert outcome.exit_code == 0
    assert "parentage inspect ./model --digests" in " ".join(outcome.stdout.split())


@pytest.mark.real
def test_the_base_of_the_family_is_an_ordinary_bert(family: Path) -> None:
    found = look(family / "O")
    assert (found.total.tensors, found.total.layers) == (104, 6)
    assert found.oddities == ()
