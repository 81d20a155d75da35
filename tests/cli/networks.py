"""A planted merge on a web server and on a hub, both on loopback, and the command line against them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.checkpoints.remote.servers import Hubs, Site
from tests.cli.running import Outcome, Run

__all__ = [
    "CARD",
    "HEADERS", "MODELS", "NO_PROXY", "SHORT", "TENSORS", "Audit", "command", "plain", "received", "suspect",
]  # fmt: skip

NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}
MODELS = ("suspect", "a", "b", "other")
TENSORS = 8
HEADERS = len(MODELS) * 32 * 2**10
# Pays for the headers and some of the tensors, which take 33 kB each.
SHORT = 500_000
CARD = "---\nbase_model: [{}]\n---\n"


def command(site: Site, *more: str | Path) -> list[str | Path]:
    suspect, a, b, other = (f"{site.address}/{n}" for n in MODELS)
    return ["audit", suspect, "-p", a, "-p", b, "-c", other, *more]


class Audit:
    """Audits the site's suspect in this process."""

    def __init__(self, run: Run, site: Site) -> None:
        self.run, self.site = run, site

    def __call__(self, *more: str | Path) -> Outcome:
        return self.run(*command(self.site, *more))


def plain(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def received(site: Site) -> int:
    """Bytes of bodies that were asked for by range."""
    size = len(next(iter(site.files.values())))
    ranges = [a.range for a in site.gets if a.range is not None]
    return sum(min(last + 1, size) - first for first, last in ranges)


def suspect(hubs: Hubs, models: dict[str, bytes], *names: str) -> str:
    card = CARD.format(", ".join(names)).encode()
    hubs.add("org/merge", {"model.safetensors": models["suspect"], "README.md": card})
    return "org/merge"
