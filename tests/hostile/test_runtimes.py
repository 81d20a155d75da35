"""Models that a runtime should not load, or not trust."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from parentage.behaviour.endpoints.client import Limits
from parentage.behaviour.runtimes.llama import LlamaServer
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.errors import ParentageError

has_torch = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None, reason="needs the extra transformers"
)
has_llama = pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None, reason="needs the extra llama"
)


@pytest.mark.slow
@has_llama
def test_what_is_no_model_ends_the_runtime_and_not_us(tmp_path: Path) -> None:
    path = tmp_path / "noise.gguf"
    path.write_bytes(b"GGUF\x03\0\0\0" + b"\0" * 256)
    with pytest.raises(ParentageError) as caught:
        asyncio.run(_opened(LlamaServer(str(path), Limits())))
    assert caught.value.code == "runtime-load"


async def _opened(target: Any) -> None:
    try:
        await target.open()
    finally:
        await target.close()


@pytest.mark.slow
@has_torch
def test_a_folder_with_code_of_its_own_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps(
            {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.M"}}
        )
    )
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ParentageError) as caught:
        asyncio.run(_opened(TransformersModel(str(tmp_path))))
    assert caught.value.code == "runtime-load"
    assert not (tmp_path / "ran").exists()
