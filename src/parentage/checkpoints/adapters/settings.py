"""What an adapter's ``adapter_config.json`` says, as far as merging it needs that. It is peft's form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import CheckpointError

__all__ = ["CONFIG", "AdapterSettings", "is_adapter", "read_settings"]

CONFIG: Final = "adapter_config.json"
MAX_CONFIG = 2**20
MOST_PATTERNS = 65_536
# peft matches these as regular expressions against the end of a module's name; a name as it is written
# means itself, and more than that is not run.
PLAIN = re.compile(r"\^?[A-Za-z0-9_.\-]{1,512}", re.ASCII)
# Start values that peft computes from the base when it loads the adapter, taking them out of the base.
TAKEN_FROM_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga", "mica")
# What changes the arithmetic or the modules, and is not merged here.
OTHER_KINDS = (
    "use_qalora",
    "use_bdlora",
    "arrow_config",
    "kasa_config",
    "monteclora_config",
    "alora_invocation_tokens",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "lora_bias",
)


@dataclass(frozen=True, slots=True)
class AdapterSettings:
    """``alpha``, ``rank`` and their exceptions by module name; ``root``: scaling by the root of the rank.

    ``turned``: the base keeps its matrices as [in, out]; told for square ones, which do not show it.
    ``base``: what it was trained over, as it says itself; empty where it does not.
    """

    rank: int
    alpha: float
    ranks: Mapping[str, float] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    root: bool = False
    dora: bool = False
    turned: bool = False
    base: str = ""

    def rank_of(self, module: str) -> float:
        """The rank that a module's factors should have."""
        return _for_module(self.ranks, module, self.rank)

    def scaling_of(self, module: str, rank: int) -> float:
        """What the product of a module's factors is multiplied by."""
        alpha = _for_module(self.alphas, module, self.alpha)
        return alpha / math.sqrt(rank) if self.root else alpha / rank


def _for_module(patterns: Mapping[str, float], module: str, usual: float) -> float:
    for pattern, value in patterns.items():
        whole = pattern.removeprefix("^")
        if module == whole or (whole == pattern and module.endswith(f".{whole}")):
            return value
    return usual


def is_adapter(checkpoint: Checkpoint) -> bool:
    """Does an ``adapter_config.json`` lie beside the weights?"""
    return CONFIG in checkpoint.files


def read_settings(adapter: Checkpoint) -> AdapterSettings:
    """Raises ``CheckpointError`` (``adapter-config``, ``adapter-kind``)."""
    where = f"{adapter.locator}: {CONFIG}"
    if not is_adapter(adapter):
        raise _bad("it is not there, so nothing says how the factors are scaled", where)
    text = adapter.read_text(CONFIG, MAX_CONFIG + 1)
    try:
        table = json.loads(text) if len(text) <= MAX_CONFIG else None
    except (ValueError, RecursionError):
        table = None
    if not isinstance(table, dict):
        raise _bad("it is not a JSON object of a config's size", where)
    _check_kind(table, where)
    base = table.get("base_model_name_or_path")
    return AdapterSettings(
        rank=int(_number(table, "r", where)),
        alpha=_number(table, "lora_alpha", where),
        ranks=_patterns(table, "rank_pattern", where),
        alphas=_patterns(table, "alpha_pattern", where),
        root=table.get("use_rslora") is True,
        dora=table.get("use_dora") is True,
        turned=table.get("fan_in_fan_out") is True,
        base=base if isinstance(base, str) else "",
    )


def _check_kind(table: Mapping[str, Any], where: str) -> None:
    kind = table.get("peft_type")
    if kind != "LORA":
        raise _other_kind(f"adapters of the kind {str(kind)[:40]!r} are not merged", where)
    start = table.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(TAKEN_FROM_BASE):
        message = f"it starts from {start[:40]!r}, which peft takes out of the base when it loads it"
        raise _other_kind(message, where)
    asked = next((name for name in OTHER_KINDS if table.get(name)), None)
    if asked is not None:
        raise _other_kind(f"adapters with {asked} are not merged", where)


def _number(table: Mapping[str, Any], name: str, where: str) -> float:
    value = table.get(name)
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good or (name == "r" and (not isinstance(value, int) or not 0 < value < 2**20)):
        raise _bad(f"{name} is no number of that kind", where)
    assert value is not None
    return float(value)


def _patterns(table: Mapping[str, Any], name: str, where: str) -> dict[str, float]:
    found = table.get(name) or {}
    if not isinstance(found, dict) or len(found) > MOST_PATTERNS:
        raise _bad(f"{name} is no table of numbers", where)
    for key in found:
        if not PLAIN.fullmatch(key):
            raise _other_kind(f"{name} names modules by a pattern, which is not run: {key[:60]!r}", where)
    return {key: _number(found, key, where) for key in found}


def _bad(message: str, where: str) -> CheckpointError:
    hint = "name a folder that peft's save_pretrained wrote"
    return CheckpointError(message, code="adapter-config", where=where, hint=hint)


def _other_kind(message: str, where: str) -> CheckpointError:
    hint = "merge it into its base with the tool that trained it, and name the result"
    return CheckpointError(message, code="adapter-kind", where=where, hint=hint)
