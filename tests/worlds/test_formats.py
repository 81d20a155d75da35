"""One merge in several formats: lossless conversion moves no evidence."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto, helper

from parentage import api
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import AlignmentError
from parentage.evidence.inputs.candidate_places import listed_places
from parentage.records.codec import to_plain
from tests.checkpoints.torch_writer import convert
from tests.worlds.fixtures import FOLDER

MODELS = ("linear", "A", "O", "B")
Convert = Callable[[Path, Path], Path]


def evidence(folder: Path, ending: str, *, full: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """Evidence and report of the merge, without what tells one file from another."""
    paths = [str(folder / f"{name}{ending}") for name in MODELS]
    found = api.audit(
        paths[0],
        parents=paths[1:3],
        controls=paths[3:],
        full=full,
        sample=None if full else 2048,
        workers=1,
    )
    assert found.report.verdict.relation == "linear-merge"
    assert found.report.verdict.status == "supported"
    told = json.dumps([to_plain(found.evidence), to_plain(found.report)]).replace(ending, "")
    whole, report = json.loads(told.replace(str(folder), ""))
    return _stripped(whole), _stripped(report)


FILES = (
    "models",
    "parents",
    "shards",
    "digests",
    "suspect",
    "oddities",
    "notes",
    "asked",
    "created",
    "bytes_read",
)


def _stripped(plain: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in plain.items() if key not in FILES}
    if "coverage" in kept:
        kept["coverage"] = {k: v for k, v in kept["coverage"].items() if k != "bytes_read"}
    return kept


def convert_to_onnx(source: Path, target: Path) -> Path:
    """As an exporter leaves it: matrices of linear layers turned and renamed, all else by name."""
    nodes, tensors = [], []
    with open_checkpoint(source) as checkpoint:
        for name, ref in checkpoint.tensors.items():
            bits = checkpoint.read(ref, 0, ref.elements).reshape(ref.shape)
            linear = len(ref.shape) == 2 and "embeddings" not in name
            stored = f"onnx::MatMul_{len(nodes)}" if linear else name
            raw = (bits.T if linear else bits).tobytes()
            shape = ref.shape[::-1] if linear else ref.shape
            tensors.append(helper.make_tensor(stored, TensorProto.BFLOAT16, shape, raw, raw=True))
            if linear:
                path = "/" + name.removesuffix(".weight").replace(".", "/") + "/MatMul"
                nodes.append(helper.make_node("MatMul", ["x", stored], [f"y{len(nodes)}"], name=path))
    graph = helper.make_graph(nodes, "graph", [], [], tensors)
    target.write_bytes(helper.make_model(graph, producer_name="test").SerializeToString())
    return target


@pytest.fixture(scope="module")
def original() -> tuple[dict[str, Any], dict[str, Any]]:
    return evidence(FOLDER / "mergekit", ".safetensors", full=False)


@pytest.mark.parametrize(
    ("how", "ending"),
    [(convert, ".pt"), (partial(convert, turned=True), ".pt"), (convert_to_onnx, ".onnx")],
    ids=["torch", "torch, turned", "onnx, folded"],
)
def test_a_merge_in_another_format_gives_the_same_evidence_as_in_safetensors(
    how: Convert, ending: str, original: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    for name in MODELS:
        how(FOLDER / "mergekit" / f"{name}.safetensors", tmp_path / f"{name}{ending}")
    whole, report = evidence(tmp_path, ending, full=False)
    assert whole["tensors"]
    assert whole == original[0]
    assert report == original[1]


def test_formats_meet_each_other_and_a_tensor_that_cannot_be_read_is_listed(tmp_path: Path) -> None:
    """The suspect by torch, one parent as ONNX, one as safetensors."""
    suspect = convert(FOLDER / "mergekit" / "linear.safetensors", tmp_path / "linear.pt")
    parent = convert_to_onnx(FOLDER / "mergekit" / "A.safetensors", tmp_path / "A.onnx")
    other = FOLDER / "mergekit" / "O.safetensors"
    found = api.audit(str(suspect), parents=[str(parent), str(other)], full=True, workers=1).report
    assert found.verdict.relation == "linear-merge"
    scattered = str(FOLDER / "torch" / "scattered.pt")
    with pytest.raises(AlignmentError):
        api.audit(str(suspect), parents=[scattered, str(other)][:1], workers=1)
    again = api.audit(str(suspect), parents=[str(parent), str(other)], controls=[scattered], workers=1)
    reasons = {n.tensor: n.reason for n in again.report.coverage.not_examined}
    assert reasons["x"] == "scattered.pt: not read: its numbers lie 100x2 apart, in 5,000 runs"


def test_candidates_are_found_in_every_format(tmp_path: Path) -> None:
    (tmp_path / "torch").mkdir()
    convert(FOLDER / "mergekit" / "A.safetensors", tmp_path / "torch" / "pytorch_model.bin")
    convert_to_onnx(FOLDER / "mergekit" / "O.safetensors", tmp_path / "base.onnx")
    found = listed_places(str(tmp_path))
    assert {Path(p).name for p in found} == {"torch", "base.onnx"}


def test_evidence_of_pytorch_files_is_derived_again(tmp_path: Path) -> None:
    paths = [str(convert(FOLDER / "mergekit" / f"{n}.safetensors", tmp_path / f"{n}.pt")) for n in MODELS]
    found = api.audit(paths[0], parents=paths[1:3], sample=1024, workers=1)
    api.save_evidence(found.evidence, tmp_path / "evidence.json")
    again = api.verify(tmp_path / "evidence.json")
    assert again.holds
    Path(paths[1]).write_bytes(Path(paths[3]).read_bytes())
    assert not api.verify(tmp_path / "evidence.json").holds
