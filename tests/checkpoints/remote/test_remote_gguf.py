"""GGUF over a network: head and slices by range, never the whole file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter, quants

from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
from tests.checkpoints.remote.servers import Hub, Site

Make = Callable[..., RemoteSession]
ROWS, COLUMNS = 4096, 1024


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("gguf") / "m.gguf"
    values = np.random.default_rng(3).normal(0, 0.02, (ROWS, COLUMNS)).astype(np.float32)
    writer = GGUFWriter(path, "llama")
    writer.add_token_list([f"token {k}" for k in range(20_000)])
    writer.add_tensor("a.weight", quants.quantize(values, Kind.Q8_0), raw_dtype=Kind.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path.read_bytes()


def _check(locator: str, session: RemoteSession, raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(raw)
    starts = np.array([0, 12_345, ROWS * COLUMNS - 700], np.int64)
    with open_checkpoint(tmp_path) as here, open_checkpoint(locator, session=session) as there:
        expected = here.read_blocks("a.weight", starts, 700)
        assert np.array_equal(there.read_blocks("a.weight", starts, 700), expected)
        assert there.tensors["a.weight"].encoding == "Q8_0"
        assert there.config == here.config
        assert session.bytes_read < len(raw) / 3


def test_a_file_at_a_web_address_is_read_by_range(
    site: Site, session: Make, raw: bytes, tmp_path: Path
) -> None:
    site.files["/q/m.gguf"] = raw
    _check(f"{site.address}/q/m.gguf", session(), raw, tmp_path)


def test_a_model_on_a_hub_is_found_by_its_only_gguf_file(
    hub: Hub, session: Make, raw: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    hub.files.clear()
    hub.add({"m.gguf": raw, "README.md": b"---\n---\n"})
    _check("hf://org/model", session(hub_endpoint=hub.address), raw, tmp_path)
