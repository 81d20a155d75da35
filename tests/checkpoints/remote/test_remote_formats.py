"""PyTorch and ONNX over a network: directory, pickle, graph and slices by range, never the whole file."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from aiohttp import web
from onnx import helper, numpy_helper

from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.errors import ParentageError
from tests.checkpoints.remote.servers import Hub, Site
from tests.checkpoints.torch_writer import save
from tests.hostile.onnx_files import external, graph, model

Make = Callable[..., RemoteSession]
ROWS, COLUMNS = 2048, 512


def matrices() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {f"layers.{k}.weight": rng.normal(size=(ROWS, COLUMNS)).astype(np.float32) for k in range(4)}


def as_torch(folder: Path) -> bytes:
    save(folder / "x.bin", {n: ("F32", a.view(np.uint32)) for n, a in matrices().items()})
    return (folder / "x.bin").read_bytes()


def as_onnx(folder: Path, *, external_data: bool) -> dict[str, bytes]:
    tensors = [numpy_helper.from_array(a, n) for n, a in matrices().items()]
    made = helper.make_model(helper.make_graph([], "g", [], [], tensors), producer_name="test")
    place = folder / "model.onnx"
    if external_data:
        onnx.save(made, place, save_as_external_data=True, location="model.onnx_data", size_threshold=0)
        return {p.name: p.read_bytes() for p in (place, folder / "model.onnx_data")}
    onnx.save(made, place)
    return {place.name: place.read_bytes()}


def check(locator: str, session: RemoteSession, share: float = 0.1) -> None:
    starts = np.array([0, 100_000, ROWS * COLUMNS - 300], np.int64)
    with open_checkpoint(locator, session=session) as checkpoint:
        for name, array in matrices().items():
            got = checkpoint.read_blocks(name, starts, 300).view(np.float32)
            assert np.array_equal(got, np.stack([array.reshape(-1)[s : s + 300] for s in starts]))
    assert session.bytes_read < share * 4 * 4 * ROWS * COLUMNS


def test_a_file_of_torch_at_a_web_address_is_read_by_range(
    site: Site, session: Make, tmp_path: Path
) -> None:
    site.files["/t/model.bin"] = as_torch(tmp_path)
    used = session()
    check(f"{site.address}/t/model.bin", used)
    assert used.requests < 60


def test_a_folder_at_a_web_address_is_asked_for_every_usual_name(
    site: Site, session: Make, tmp_path: Path
) -> None:
    raw, shard = as_torch(tmp_path), "pytorch_model-00001-of-00001.bin"
    index = json.dumps({"weight_map": dict.fromkeys(matrices(), shard)}).encode()
    site.files |= {"/one/pytorch_model.bin": raw, f"/many/{shard}": raw}
    site.files["/many/pytorch_model.bin.index.json"] = index
    for place in ("/one", "/many", "/many/pytorch_model.bin.index.json"):
        check(f"{site.address}{place}", session())


def test_shards_of_torch_on_a_hub_are_found_by_their_index(
    hub: Hub, session: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    hub.files.clear()
    name = "pytorch_model-00001-of-00001.bin"
    index = json.dumps({"weight_map": dict.fromkeys(matrices(), name)}).encode()
    hub.add({name: as_torch(tmp_path), "pytorch_model.bin.index.json": index, "training_args.bin": b"x"})
    check("hf://org/model", session(hub_endpoint=hub.address))


@pytest.mark.parametrize("external_data", [False, True])
def test_an_onnx_file_on_a_hub_is_read_with_its_data_wherever_they_lie(
    external_data: bool, hub: Hub, session: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    hub.files.clear()
    hub.add(as_onnx(tmp_path, external_data=external_data))
    check("hf://org/model", session(hub_endpoint=hub.address))


def test_an_onnx_file_at_a_web_address_is_read_with_its_data(
    site: Site, session: Make, tmp_path: Path
) -> None:
    for name, raw in as_onnx(tmp_path, external_data=True).items():
        site.files[f"/o/{name}"] = raw
    check(f"{site.address}/o/model.onnx", session())


@pytest.mark.parametrize(
    ("location", "code"),
    [
        (b"absent.bin", "remote-absent"),
        (b"../secret.bin", "onnx-external-escapes"),
        (b"https://elsewhere.test/w.bin", "onnx-external-escapes"),
    ],
)
def test_data_that_are_not_there_or_elsewhere_are_refused(
    location: bytes, code: str, site: Site, session: Make
) -> None:
    site.files["/o/model.onnx"] = model(graph(external(location)))
    site.files["/secret.bin"] = bytes(100)
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(f"{site.address}/o/model.onnx", session=session())
    assert (caught.value.code, caught.value.exit_code) == (code, 3)
    assert not any(asked.path == "/secret.bin" for asked in site.asked)


Answer = Callable[[web.Request, int], Awaitable[web.StreamResponse | None]]


@pytest.mark.parametrize("ending", [".bin", ".onnx"])
@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"<!DOCTYPE html><html>log in</html>" * 100, "format-not-read"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n", "format-not-read"),
        (b"\x80\x02}q\x00.", "torch-legacy"),
    ],
    ids=["a page that says it is bytes", "a pointer of git", "a bare pickle"],
)
def test_what_is_no_weights_is_refused_by_its_first_bytes(
    raw: bytes, code: str, ending: str, site: Site, session: Make
) -> None:
    site.files[f"/w/model{ending}"] = raw
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(f"{site.address}/w/model{ending}", session=session())
    assert (caught.value.code, caught.value.exit_code) == (code, 3)


@pytest.mark.parametrize("kind", ["torch", "onnx"])
@pytest.mark.parametrize(
    ("status", "code"), [(403, "read-forbidden"), (404, "read-absent"), (500, "read-server")]
)
def test_a_server_that_fails_after_opening_is_a_failed_reading(
    status: int, code: str, kind: str, site: Site, session: Make, tmp_path: Path
) -> None:
    name = "m.bin" if kind == "torch" else "m.onnx"
    raw = as_torch(tmp_path) if kind == "torch" else as_onnx(tmp_path, external_data=False)["model.onnx"]
    site.files[f"/f/{name}"] = raw
    with open_checkpoint(f"{site.address}/f/{name}", session=session()) as checkpoint:

        async def fault(request: web.Request, number: int) -> web.StreamResponse | None:
            return web.Response(status=status)

        site.fault = fault
        with pytest.raises(ParentageError) as caught:
            checkpoint.read("layers.2.weight", 100_000, 10)
    assert (caught.value.code, caught.value.exit_code) == (code, 4)
