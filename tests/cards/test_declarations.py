"""A weighed card as CycloneDX declarations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parentage.cards.declarations import declarations
from tests.verdicts.cards.weighing import audited, weighed

TEXT = "Finch-7B was trained from scratch. Base model: acme/Corvid-7B. Developed by Zed Corp."


def test_the_declarations_follow_the_schema() -> None:
    schema = pytest.importorskip("cyclonedx.schema")
    import jsonschema
    from referencing import Registry, Resource

    folder = Path(schema.__file__).parent / "_res"
    parts = [json.loads((folder / f"{n}.SNAPSHOT.schema.json").read_text()) for n in ("spdx", "jsf-0.82")]
    registry = Registry().with_resources((p["$id"], Resource.from_contents(p)) for p in parts)
    bom = json.loads((folder / "bom-1.6.SNAPSHOT.schema.json").read_text())
    check = jsonschema.Draft7Validator(bom, registry=registry)
    found = declarations(weighed(TEXT, audited("merge")))
    assert list(check.iter_errors(found)) == []
    # The check sees a document that is wrong.
    assert list(check.iter_errors({**found, "declarations": {"claims": [{"target": 3}]}}))
    assert list(check.iter_errors(declarations(weighed("Text.")))) == []


def test_what_contradicts_is_counter_evidence_and_has_no_conformance() -> None:
    found = declarations(weighed(TEXT, audited("merge")))["declarations"]
    by_claim = {c["predicate"]: c for c in found["claims"]}
    assert "counterEvidence" in by_claim["from-scratch: yes"]
    assert "evidence" in by_claim["base-model: acme/Corvid-7B"]
    mapped = {m["requirement"]: m for m in found["attestations"][0]["map"]}
    scores = {
        c["predicate"]: mapped[c["bom-ref"]].get("conformance", {}).get("score") for c in found["claims"]
    }
    assert scores == {"from-scratch: yes": 0.0, "base-model: acme/Corvid-7B": 1.0, "maker: Zed Corp": None}
