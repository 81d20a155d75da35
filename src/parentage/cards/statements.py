"""A merge as an in-toto statement: these files (subjects) were made by this recipe of those parents.

in-toto Attestation Framework, Statement v1 (github.com/in-toto/attestation, spec/v1/statement.md). The
predicate is ours: ``docs/labels.md`` describes it field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from parentage.records.absence import Absent
from parentage.records.merge import Basis, MergedFile, MergeRecord, Parent

__all__ = ["PREDICATE_TYPE", "STATEMENT_TYPE", "statement"]

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "urn:parentage:predicate:merge-recipe:1"


def statement(record: MergeRecord, beside: Mapping[str, str]) -> dict[str, Any]:
    """The statement; ``beside``: SHA-256 of the config, tokenizer and template files, by name."""
    weights = {f.name: f.sha256 for f in record.files if isinstance(f.sha256, str)}
    subjects = [
        {"name": name, "digest": {"sha256": digest}} for name, digest in [*weights.items(), *beside.items()]
    ]
    return {
        "_type": STATEMENT_TYPE,
        "subject": subjects,
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "builder": dict(record.tool),
            "recipe": dict(record.recipe),
            "recipeSha256": record.recipe_sha256,
            "method": record.method,
            "profile": record.profile,
            "seed": record.seed,
            **_basis(record.basis),
            "parents": [_parent(p) for p in record.parents],
            "tensors": {
                "merged": record.merged,
                "copied": len(record.copied),
                "dropped": len(record.dropped),
            },
        },
    }


def _basis(basis: Basis) -> dict[str, Any]:
    """Nothing where the weights were made by the run that says so."""
    if basis.kind == "made":
        return {}
    optional = {
        "matches": basis.matches,
        "elements": basis.elements,
        "postTraining": basis.post_training,
        "evidenceSha256": basis.evidence_sha256,
    }
    known = {key: value for key, value in optional.items() if not isinstance(value, Absent)}
    before = {"before": [_file(f) for f in basis.before]} if basis.before else {}
    return {"basis": {"kind": basis.kind, **known, **before}}


def _parent(parent: Parent) -> dict[str, Any]:
    optional = {
        "id": parent.id,
        "revision": parent.revision,
        "licence": parent.licence,
        "share": parent.share,
    }
    known = {key: value for key, value in optional.items() if not isinstance(value, Absent)}
    return {"name": parent.name, "base": parent.base, **known, "files": [_file(f) for f in parent.files]}


def _file(file: MergedFile) -> dict[str, Any]:
    digest = {} if isinstance(file.sha256, Absent) else {"digest": {"sha256": file.sha256}}
    return {"name": file.name, "size": file.size, **digest}
