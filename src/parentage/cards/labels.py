"""A merge's labels: what every shard, the card and the machine-readable files say of its making."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

import yaml

from parentage.cards.bill_of_materials import bill_of_materials
from parentage.cards.model_card import RECIPE_FILE, model_card
from parentage.cards.statements import statement
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.json_files import dumps
from parentage.records.merge import SCHEMA, VERSION, MergeRecord

__all__ = ["MATERIALS", "RECORD", "STATEMENT", "label_files", "recipe_text_of", "shard_metadata"]

RECORD: Final = "parentage.json"
STATEMENT: Final = "parentage.intoto.json"
MATERIALS: Final = "parentage.cdx.json"


def shard_metadata(record: MergeRecord) -> dict[str, str]:
    """``__metadata__`` of every shard: text by text, as safetensors wants it.

    ``format`` is what transformers asks for.
    """
    parents = [
        {
            "name": p.name,
            **({} if isinstance(p.id, Absent) else {"id": p.id}),
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
        **({} if record.basis.kind == "made" else {"parentage.basis": record.basis.kind}),
        "parentage.parents": json.dumps(parents, ensure_ascii=False, separators=(",", ":")),
    }


def label_files(record: MergeRecord, beside: Mapping[str, str]) -> dict[str, bytes]:
    """The files that say what the merge is, by name; ``beside``: SHA-256 of config, tokenizer, template."""
    plain = {"schema": SCHEMA, "version": VERSION, **to_plain(record)}
    texts = {
        record.basis.card: model_card(record),
        RECIPE_FILE: recipe_text_of(record),
        RECORD: dumps(plain),
        STATEMENT: dumps(statement(record, dict(sorted(beside.items())))),
        MATERIALS: dumps(bill_of_materials(record)),
    }
    return {name: text.encode("utf-8", errors="backslashreplace") for name, text in texts.items()}


def recipe_text_of(record: MergeRecord) -> str:
    """The recipe as YAML, as it lies beside the weights."""
    return yaml.safe_dump(dict(record.recipe), sort_keys=False, allow_unicode=True, width=100)
