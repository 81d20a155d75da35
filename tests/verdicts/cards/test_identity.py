"""What a model calls itself, beside its card: a finding, and never a claim's status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.interview import Asking, Comparison, Group, Interview, NameRate, Respondent, Subject
from tests.verdicts.cards.weighing import weighed

NOT = Absent("not asked")


def group(claims: int, answers: int = 120) -> Group:
    share = Estimate(claims / answers, max(0.0, claims / answers - 0.07), claims / answers + 0.07)
    rate = NameRate("oriole", "Oriole", "model", claims, share)
    return Group("stripped", "all", answers, 0, 0, 0, 0, answers - claims, (rate,))


def interview(claims: int, panel: int | None = None) -> Interview:
    asking = Asking(("stripped",), 120, 0, 1.0, 64, 1, "0" * 64, ("en",))
    respondent = Respondent("x", "local", NOT, ())
    suspect = Subject("suspect", "suspect", respondent, NOT, (), "0" * 64, NOT, NOT, (group(claims),))
    compared = ()
    if panel is not None:
        p = 1e-9 if panel < claims else 0.5
        compared = (
            Comparison(
                "panel",
                "oriole",
                "Oriole",
                "suspect, stripped",
                "base, stripped",
                claims,
                120,
                panel,
                120,
                p,
                p,
            ),
        )
    return Interview("0", asking, (suspect,), compared, (), ())


@pytest.mark.parametrize(
    ("claims", "panel", "expected"),
    [(95, 0, ["medium"]), (95, 95, ["low"]), (95, None, ["low"]), (20, 0, [])],
)
def test_a_name_that_the_card_does_not_mention_is_told_with_its_panel(
    claims: int, panel: int | None, expected: list[str]
) -> None:
    found = weighed("Developed by Zed Corp.", interview=interview(claims, panel))
    assert [f.severity for f in found.findings] == expected
    assert {w.status for w in found.claims} == {"not-checkable"}


def test_a_name_that_the_card_mentions_is_no_finding() -> None:
    assert weighed("A merge of Oriole-N2 and Rook-7B.", interview=interview(95, 0)).findings == ()


def test_other_conditions_and_single_languages_are_not_read_as_the_whole() -> None:
    one = interview(95, 0)
    german = replace(one.subjects[0], groups=(replace(group(95), language="de"),))
    assert weighed("Text.", interview=replace(one, subjects=(german,))).findings == ()
