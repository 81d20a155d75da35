"""Names of other models in files beside a card: of tokenizers, webui's metadata, sd-mecha's recipes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from parentage.cards.claims.names_beside import names_beside
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.records.dtypes import DType
from tests.cli.running import Run
from tests.worlds.fixtures import FOLDER

WEBUI = {
    "sd_merge_recipe": json.dumps({"type": "webui", "multiplier": 0.3, "primary_model_hash": "a" * 64}),
    "sd_merge_models": json.dumps(
        {"a" * 64: {"name": "corvid-7b.safetensors"}, "b" * 64: {"name": "C:\\sd\\heron.ckpt"}}
    ),
}


def _model(folder: Path, metadata: dict[str, str] | None = None, **files: object) -> Path:
    folder.mkdir(exist_ok=True)
    tensor = StoredTensor(DType.F16, (1,), np.zeros(1, np.uint16))
    write_safetensors(folder / "model.safetensors", {"w": tensor}, metadata or {})
    for name, content in files.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def _names(folder: Path) -> tuple[str, ...]:
    with open_checkpoint(folder) as model:
        return names_beside(model)


def test_metadata_of_image_mergers_name_their_models(tmp_path: Path) -> None:
    assert _names(_model(tmp_path / "webui", WEBUI)) == ("corvid-7b", "heron")
    real = FOLDER / "image" / "weighted_sum.safetensors"
    assert {"A", "B"} <= set(_names(real))


@pytest.mark.parametrize(
    ("place", "names"),
    [
        ("acme/Corvid-7B", ("acme/Corvid-7B",)),
        ("/root/.cache/huggingface/hub/models--acme--Corvid-7B/snapshots/0af3", ("acme/Corvid-7B",)),
        ("/home/somebody/secret/corvid", ()),
        ("./corvid/", ()),
        ("outputs/checkpoint-500", ()),
        ("a/b/c", ()),
        (5, ()),
        (["acme/Corvid-7B"], ()),
    ],
    ids=range(8),
)
def test_a_tokenizer_names_a_repository_and_no_folder_of_somebodys_disk(
    place: object, names: tuple[str, ...], tmp_path: Path
) -> None:
    assert _names(_model(tmp_path, tokenizer_config={"name_or_path": place})) == names


@pytest.mark.parametrize("content", ["", "[]", "{" * 9000, '{"name_or_path": {}}', "\x00"])
def test_a_tokenizer_that_is_none_names_nothing(content: str, tmp_path: Path) -> None:
    assert _names(_model(tmp_path, tokenizer_config=content)) == ()


def test_a_name_in_the_tokenizer_that_the_card_leaves_out_is_told(run: Run, tmp_path: Path) -> None:
    folder = _model(tmp_path / "m", tokenizer_config={"name_or_path": "acme/Corvid-7B"})
    (folder / "README.md").write_text("# Finch\n\nFinch was trained from scratch.\n")
    told = run("card", folder).out
    assert "[medium] name-not-in-card: Other files of the model name acme/Corvid-7B" in told
    (folder / "README.md").write_text("# Finch\n\nIt uses the tokenizer of Corvid-7B.\n")
    assert "name-not-in-card" not in run("card", folder).out
