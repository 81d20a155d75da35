"""The real base and its fine-tunes as ``torch.save`` writes them, and a merge of two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.records.codec import to_plain
from tests.worlds.test_formats import FILES

pytestmark = [pytest.mark.real, pytest.mark.slow]
MODELS = ("S", "A", "O", "B")


def audited(folder: Path, ending: str) -> list[dict[str, Any]]:
    """Evidence and report, without what tells one file from another."""
    suspect, *parents, control = (str(folder / f"{name}{ending}") for name in MODELS)
    found = api.audit(suspect, parents=parents, controls=[control], sample=4096, workers=1)
    assert (found.report.verdict.relation, found.report.verdict.status) == ("linear-merge", "supported")
    told = json.dumps([to_plain(found.evidence), to_plain(found.report)])
    return [
        {k: v for k, v in plain.items() if k not in (*FILES, "coverage")}
        for plain in json.loads(told.replace(str(folder), "").replace(ending, ""))
    ]


def test_what_torch_saved_gives_the_evidence_of_the_published_files(family: Path, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    files = pytest.importorskip("safetensors.torch")
    models = {name: files.load_file(family / name / "model.safetensors") for name in "AOB"}
    models["S"] = {
        name: (0.6 * a + 0.4 * models["O"][name]).to(a.dtype) if a.is_floating_point() else a
        for name, a in models["A"].items()
        if name in models["O"]
    }
    for name in MODELS:
        torch.save(models[name], tmp_path / f"{name}.bin")
        files.save_file(models[name], tmp_path / f"{name}.safetensors")
    torch_files, plain = audited(tmp_path, ".bin"), audited(tmp_path, ".safetensors")
    assert len(plain[0]["tensors"]) > 90
    assert torch_files == plain
