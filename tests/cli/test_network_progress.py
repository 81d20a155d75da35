"""What is being fetched over a network: how much of how much, and how long it will take."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.checkpoints.remote.servers import Site
from tests.cli.networks import command
from tests.cli.running import Run
from tests.cli.test_progress import on_a_terminal


def test_a_terminal_shows_bytes_fetched_of_how_many_and_the_time_that_is_left(
    site: Site, run: Run, tmp_path: Path
) -> None:
    told = tmp_path / "plan.json"
    assert run(*command(site, "--dry-run", "--json", told)).code == 0
    planned = sum(m["reading"]["nbytes"] for m in json.loads(told.read_text())["models"])
    site.latency = 0.3
    code, out, err = on_a_terminal(command(site, "--json", "-"), columns=120)
    assert code == 0
    assert out.startswith("{")
    shown = [line for line in re.split(r"[\r\n]", err) if "fetching (kB)" in line]
    fetched = [tuple(map(int, found)) for line in shown for found in re.findall(r"(\d+)/(\d+)", line)]
    done, wanted = zip(*fetched, strict=True)
    assert list(done) == sorted(done)
    assert done[0] < done[-1]
    assert {n for n in wanted if n} == {planned // 1000}
    assert any(re.search(r"\d:\d\d:\d\d", line) for line in shown)
