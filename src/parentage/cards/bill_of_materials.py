"""A merge as a CycloneDX bill of materials (ECMA-424, version 1.6), with its parents as pedigree."""

from __future__ import annotations

import uuid
from typing import Any, Final

from parentage.cards.model_card import plain_sentence
from parentage.records.absence import Absent
from parentage.records.merge import MergedFile, MergeRecord, Parent

__all__ = ["bill_of_materials"]

# Serial numbers are the same for the same merge: nothing random, no clock.
NAMESPACE: Final = uuid.UUID("5b0a4a5e-6c0e-5e7d-9b39-7d3c1a0f7e11")


def bill_of_materials(record: MergeRecord) -> dict[str, Any]:
    """The document; ``metadata.component`` is the merge, ``components`` are its weight files."""
    seal = record.recipe_sha256 + "".join(str(f.sha256) for f in record.files)
    name = str(record.recipe.get("name") or "merge")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, seal)}",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [
                    {"type": "application", "name": record.tool["name"], "version": record.tool["version"]}
                ]
            },
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "merge",
                "name": name,
                "description": plain_sentence(record),
                "modelCard": {"modelParameters": {"approach": {}, "task": "merge"}},
                "pedigree": {
                    "ancestors": [_ancestor(p, k) for k, p in enumerate(record.parents)],
                    "notes": f"{record.method} in the arithmetic {record.profile}, seed {record.seed}; "
                    f"recipe SHA-256 {record.recipe_sha256}",
                },
                "properties": _properties(record),
            },
        },
        "components": [_file(f, f"merge/{f.name}") for f in record.files],
        "dependencies": [
            {
                "ref": "merge",
                "dependsOn": [f"merge/{name}" for name in sorted(f.name for f in record.files)],
            }
        ],
    }


def _properties(record: MergeRecord) -> list[dict[str, str]]:
    table = {
        "parentage:recipe-sha256": record.recipe_sha256,
        "parentage:method": record.method,
        "parentage:profile": record.profile,
        "parentage:seed": str(record.seed),
    }
    if record.basis.kind != "made":
        table["parentage:basis"] = record.basis.kind
    return [{"name": name, "value": value} for name, value in table.items()]


def _ancestor(parent: Parent, number: int) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"parent-{number}",
        "name": parent.id if isinstance(parent.id, str) else parent.name,
    }
    if isinstance(parent.revision, str):
        found["version"] = parent.revision
    if isinstance(parent.licence, str):
        found["licenses"] = [{"license": {"name": parent.licence}}]
    if not isinstance(parent.share, Absent):
        found["properties"] = [{"name": "parentage:share", "value": repr(parent.share)}]
    found["components"] = [_file(f, f"parent-{number}/{f.name}") for f in parent.files]
    return found


def _file(file: MergedFile, reference: str) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "file", "bom-ref": reference, "name": file.name}
    if isinstance(file.sha256, str):
        found["hashes"] = [{"alg": "SHA-256", "content": file.sha256}]
    return found
