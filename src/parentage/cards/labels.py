"""A merge's labels: what every shard, the card and the machine-readable files say of its making."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.json_files import dumps
from parentage.records.merge import SCHEMA, VERSION, MergeRecord

__all__ = ["RECORD", "label_files", "shard_metadata"]

RECORD: Final = "parentage.json"


def shard_metadata(record: MergeRecord) -> dict[str, str]:
    """``__metadata__`` of every shard: text by text, as safetensors wants it.

    ``format`` is what transformers asks for.
    """
    parents = [
        {
            "name": p.name,
            **({} if isinstance(p.revision, Absent) else {"revision": p.revision}),
            "sha256": {f.name: f.sha256 for f in p.files if isinstance(f.sha256, str)},
        }
        for p in record.parents
    ]
    return {
        "format": "pt",
        "parentage.version": record.tool["version"],
        "parentage.recipe_sha256": record.recipe_sha256,
        "parentage.method": record.method,
        "parentage.profile": record.profile,
        "parentage.seed": str(record.seed),
        "parentage.parents": json.dumps(parents, ensure_ascii=False, separators=(",", ":")),
    }


def label_files(record: MergeRecord, beside: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that say what the merge is, by name."""
    plain = {"schema": SCHEMA, "version": VERSION, **to_plain(record)}
    return {RECORD: dumps(plain).encode("utf-8", errors="backslashreplace")}
