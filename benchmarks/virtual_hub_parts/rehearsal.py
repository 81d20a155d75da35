"""Audits of the virtual hub through the command line, each measured: what it said and what it cost."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .architecture import FULL, SMALL
from .process import Done, audit, counts_of, serving
from .rows import as_table, rows_of
from .server import OWNER, Conditions
from .weights import ALPHA, trained_experts

__all__ = ["SETTINGS", "Setting", "rehearse", "summary"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What is audited, under which conditions."""

    name: str
    suspect: str
    controls: tuple[str, ...] = ()
    latency: float = 0.0
    failing: float = 0.0


CONTROLS = ("other-a", "other-b")
SETTINGS = (
    Setting("triple", "merged"),
    Setting("with controls", "merged", CONTROLS),
    Setting("trained", "trained", CONTROLS),
    Setting("50 ms", "merged", latency=0.05),
    Setting("200 ms", "merged", latency=0.2),
    Setting("1 % failing", "merged", failing=0.01),
    Setting("50 ms, 1 % failing", "merged", latency=0.05, failing=0.01),
)


def rehearse(setting: Setting, *, small: bool, keep: Path | None = None) -> dict[str, Any]:
    """One audit: verdict, rows, costs; reports and evidence are left in ``keep``."""
    conditions = Conditions(setting.latency, setting.failing)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if keep is None else keep / setting.name.replace(" ", "-").replace("%", "pc")
        folder.mkdir(parents=True, exist_ok=True)
        with serving(small=small, conditions=conditions) as address:
            done = audit(
                _arguments(setting, folder),
                {
                    "HF_ENDPOINT": address,
                    "HF_HUB_CACHE": f"{scratch}/none",
                    "HF_TOKEN_PATH": f"{scratch}/no",
                },
            )
            counts = counts_of(address)
        report, evidence = (_read(folder / f"{kind}.json") for kind in ("report", "evidence"))
    size = SMALL if small else FULL
    # An audit that ended without evidence has its exit code and output in the verdict.
    table = rows_of(evidence) if evidence else ()
    return {
        "setting": asdict(setting),
        "verdict": _verdict(report, done),
        "rows": [asdict(r) for r in table],
        "every row holds 4/7": all(r.low is None or r.low <= ALPHA <= (r.high or 0.0) for r in table),
        "trained": _trained(report, size) if setting.suspect == "trained" else None,
        "cost": _cost(done, counts, report),
        "table": as_table(table),
    }


def _arguments(setting: Setting, folder: Path) -> list[str]:
    given = [f"{OWNER}/{setting.suspect}", "-p", f"{OWNER}/tuned", "-p", f"{OWNER}/base"]
    for control in setting.controls:
        given += ["-c", f"{OWNER}/{control}"]
    return [*given, "--json", str(folder / "report.json"), "--evidence", str(folder / "evidence.json")]


def _read(path: Path) -> Any:
    return json.loads(path.read_bytes()) if path.exists() else {}


def _verdict(report: Mapping[str, Any], done: Done) -> dict[str, Any]:
    if not report:
        return {"exit code": done.exit_code, "output": done.output[-2000:]}
    verdict = report["verdict"]
    return {
        "exit code": done.exit_code,
        "relation": verdict["relation"],
        "status": verdict["status"],
        "sentence": verdict["sentence"],
        "parents": verdict["parents"],
        "post_training": report["post_training"]["status"],
        "would_have_seen": report["post_training"]["would_have_seen"],
        "match": report["replay"].get("match"),
        "arithmetic": report["replay"].get("arithmetic"),
        "coverage": {k: v for k, v in report["coverage"].items() if k != "not_examined"},
        "not_examined": len(report["coverage"]["not_examined"]),
    }


def _trained(report: Mapping[str, Any], size: Any) -> dict[str, Any]:
    """Which of the experts that were trained on were found, among those that the sample visits."""
    planted = trained_experts(size)
    experts = report["post_training"]["experts"]
    named = {(int(layer), int(x)) for layer, x in experts.get("changed", ())}
    return {
        "planted": len(planted),
        "examined": experts.get("examined"),
        "found": len(named & planted),
        "found though untouched": sorted(named - planted),
    }


def _cost(done: Done, counts: Mapping[str, int], report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "wall seconds": round(done.wall, 1),
        "processor seconds": round(done.processor, 1),
        "peak resident bytes": done.peak,
        "range requests": counts.get("ranges", 0),
        "resolves": counts.get("resolves", 0),
        "bytes of ranges": counts.get("bytes of ranges", 0),
        "hub": dict(counts),
        "bytes read": report["coverage"]["bytes_read"] if report else None,
    }


def summary(results: Sequence[Mapping[str, Any]]) -> str:
    """One line a setting, in Markdown."""
    lines = [
        "| setting | verdict | weight | match | later change | MB | ranges | resolves | s | CPU | RSS |",
        "| --- | --- | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return "\n".join([*lines, *(_line(r) for r in results)])


def _line(result: Mapping[str, Any]) -> str:
    verdict, cost = result["verdict"], result["cost"]
    parents = verdict.get("parents") or [{"weight": {}}]
    weight = parents[0]["weight"]
    shown = (
        f"{weight['estimate']:.6f} [{weight['low']:.6f}, {weight['high']:.6f}]"
        if "low" in weight
        else "none"
    )
    match = verdict.get("match")
    cells = (
        result["setting"]["name"],
        f"{verdict.get('relation', 'failed')}, {verdict.get('status', verdict['exit code'])}",
        shown,
        f"{match:.6f}" if isinstance(match, float) else "none",
        verdict.get("post_training", ""),
        f"{cost['bytes of ranges'] / 1e6:.1f}",
        f"{cost['range requests']:,}",
        f"{cost['resolves']:,}",
        f"{cost['wall seconds']:.0f}",
        f"{cost['processor seconds']:.0f}",
        f"{cost['peak resident bytes'] / 1e6:.0f}",
    )
    return f"| {' | '.join(cells)} |"
