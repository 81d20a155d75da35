"""A cluster that is not there is told at once, and no other is started in its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parentage.engines.ray_cluster import RayEngine
from parentage.errors import ReadError
from tests.engines.test_ray import Squares

ray: Any = pytest.importorskip("ray")


def test_an_address_without_a_cluster_is_named(tmp_path: Path) -> None:
    with pytest.raises(ReadError) as raised:
        list(RayEngine("nowhere").run(Squares(tmp_path), range(3)))
    assert (raised.value.code, raised.value.where) == ("engine-unreachable", "nowhere")
    assert not ray.is_initialized()
    assert not list(tmp_path.iterdir())
