"""A full pass counted by torch writes the evidence that one counted by compiled code does."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from parentage import api
from parentage.errors import UsageError
from parentage.evidence.full import options as full_options
from tests.evidence.test_full_pass import FIRST, World
from tests.evidence.test_resume import saved


def test_torch_on_its_own_processor_device_moves_no_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    # A name of torch's for the processor that is not ours: the path of a GPU, where there is none.
    monkeypatch.setattr(full_options, "check_device", lambda name, engine: None)
    world = World(tmp_path)
    world.change(FIRST, slice(None, None, 7))
    assert saved(world, device="cpu:0") == saved(world)


def test_a_device_that_is_not_there_is_refused_before_anything_is_read() -> None:
    message = "needs the package torch"
    if find_spec("torch") is not None:
        if import_module("torch").cuda.is_available():
            pytest.skip("there is a GPU here")
        message = "finds no GPU"
    with pytest.raises(UsageError, match=message) as raised:
        api.audit("nowhere", parents=["nowhere-either"], full=True, device="cuda")
    assert raised.value.code == "usage-device"
