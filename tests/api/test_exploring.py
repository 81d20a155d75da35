"""The Python interface to exploring: what is saved loads again."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from parentage.api.exploring import PathSettings, explore_path, load_path
from parentage.records.codec import to_plain
from parentage.records.exploring import SCHEMA, VERSION
from parentage.records.json_files import write_json
from tests.training.thinking import PLACES, open_reckoner, reckoner_folder


def test_a_line_that_was_saved_loads_as_it_was(tmp_path: Path) -> None:
    ends = [
        str(reckoner_folder(tmp_path / n, np.full(PLACES, v, np.float32)))
        for n, v in (("a", 1.0), ("b", -1.0))
    ]
    found = explore_path(PathSettings(*ends, tmp_path / "out", points=3), opener=open_reckoner)
    write_json(tmp_path / "path.json", {"schema": SCHEMA, "version": VERSION, **to_plain(found)})
    assert load_path(tmp_path / "path.json") == found
