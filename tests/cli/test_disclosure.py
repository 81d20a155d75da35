"""What counts as declared: a name's last part, without regard to case, in the suspect's favour."""

from __future__ import annotations

import pytest

from parentage.records.absence import Absent
from parentage.records.evidence import Coverage, Evidence, ModelPin, ModelRole
from parentage.records.relations import RELATIONS
from parentage.records.report import Verdict, VerdictParent
from parentage.verdicts.beside.disclosure import UNRELATED_BY_DESCENT, undisclosed_parents

REASON = Absent("not in this test")


def evidence(declared: tuple[str, ...], name: str, locator: str) -> Evidence:
    pins = (
        ModelPin("suspect", ModelRole.SUSPECT, "suspect", REASON, (), declared),
        ModelPin(name, ModelRole.PARENT, locator, REASON, ()),
    )
    coverage = Coverage(1, 1, 1, 1, 1, ())
    return Evidence({}, {}, {}, pins, coverage, (), (), (), (), ())


def undisclosed(
    declared: tuple[str, ...],
    name: str,
    locator: str = "",
    relation: str = "linear-merge",
    status: str = "supported",
) -> tuple[str, ...]:
    verdict = Verdict(relation, status, "a sentence", (VerdictParent(name, REASON),))
    return undisclosed_parents(evidence(declared, name, locator or name), verdict)


@pytest.mark.parametrize(
    ("declared", "locator"),
    [
        ("nex-agi/Nex-N2-Pro", "/models/nex-n2-pro"),
        ("Nex-N2-Pro", "/models/NEX-N2-PRO/"),
        ("nex-agi/Nex-N2-Pro", "Nex-N2-Pro.safetensors"),
        ("nex-agi/Nex-N2-Pro", "/models/Nex-N2-Pro/model.safetensors"),
        ("nex-agi/Nex-N2-Pro", "/models/Nex-N2-Pro/model-00001-of-00002.safetensors"),
        ("nex-agi/Nex-N2-Pro", "/models/Nex-N2-Pro/pytorch_model.safetensors"),
        ("nex-agi/Nex-N2-Pro", "/hub/models--nex-agi--Nex-N2-Pro/snapshots/c0ffee"),
        ("../merged/Nex-N2-Pro", "Nex-N2-Pro"),
        ("./Nex-N2-Pro.safetensors", "/a/Nex-N2-Pro"),
    ],
)
def test_a_parent_is_declared_by_any_of_its_names(declared: str, locator: str) -> None:
    assert undisclosed((declared,), locator.rstrip("/").rpartition("/")[2], locator) == ()


@pytest.mark.parametrize(
    ("declared", "locator"),
    [
        ((), "/models/Nex-N2-Pro"),
        (("Qwen/Qwen3.5-397B-A17B",), "/models/Nex-N2-Pro"),
        (("nex-agi",), "/nex-agi/Nex-N2-Pro"),
        (("Nex-N2",), "/models/Nex-N2-Pro"),
        (("Nex-N2-Pro-2",), "/models/Nex-N2-Pro"),
        (("other/model.safetensors",), "/models/Nex-N2-Pro"),
    ],
)
def test_a_parent_is_not_declared_by_another_name(declared: tuple[str, ...], locator: str) -> None:
    assert undisclosed(declared, "Nex-N2-Pro", locator) == ("Nex-N2-Pro",)


@pytest.mark.parametrize("relation", RELATIONS)
def test_only_a_relation_of_descent_can_be_undisclosed(relation: str) -> None:
    found = undisclosed((), "A", relation=relation)
    assert found == (() if relation in UNRELATED_BY_DESCENT else ("A",))


@pytest.mark.parametrize("status", ["undetermined", "contradicted"])
def test_what_is_not_supported_is_never_undisclosed(status: str) -> None:
    assert undisclosed((), "A", status=status) == ()
