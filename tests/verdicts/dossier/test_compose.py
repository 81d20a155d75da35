"""Each fact is told once, with all that supports it; what is weak stays weak."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from parentage.api import load_interview
from parentage.records.absence import Absent
from parentage.records.dossier import Dossier, at_place, from_json, to_json
from parentage.records.estimate import Estimate
from parentage.records.interview import Line, LinePoint, SecondReading
from parentage.reports.dossier_text import render_text
from parentage.verdicts.dossier.next_tokens import next_token_findings
from tests.behaviour.answered import answers_of
from tests.verdicts.dossier.worlds import (
    CLOSED,
    OPEN_CARD,
    composed,
    finding,
    hidden,
    interview_of,
    told,
    unlike,
)

ANSWERS = Path(__file__).parents[3] / "examples" / "affair" / "out" / "small" / "answers-uploaded"
AGAIN = SecondReading("http://reader/v1", "a-reader", 118, 2, Estimate(0.9, 0.83, 0.94, 0.95), 0.8, ())
ALONG = Line(
    "nex",
    "base",
    24,
    tuple(LinePoint(k / 10, 0.01 + abs(k / 10 - 0.6), Absent("not measured")) for k in range(11)),
    Estimate(0.6, 0.55, 0.66, 0.95),
)
ALL = {
    "everything": composed("merge", CLOSED, unlike()),
    "an open card": composed("merge", OPEN_CARD, unlike()),
    "a stranger's name": composed("merge", CLOSED, unlike("Qwen")),
    "no audit": composed("", CLOSED, unlike()),
    "no card": composed("merge", None, unlike()),
    "nobody asked": composed("merge", CLOSED),
    "undetermined": composed("look-alike", CLOSED, unlike()),
    "trained": composed("merge-trained", CLOSED, unlike()),
    "nothing": composed("", None),
    "looked at again": composed("merge", CLOSED, replace(unlike(), second_reading=AGAIN, line=ALONG)),
}


def test_a_parent_in_the_weights_and_its_name_in_the_answers_are_one_finding_with_two_supports() -> None:
    found = ALL["everything"]
    own = [f for f in found.findings if f.id == "undisclosed-parent:end.safetensors"]
    assert len(own) == 1
    assert [s.kind for s in own[0].supports] == ["weights", "card", "behaviour"]
    assert "Nex in 90 of 120 answers" in own[0].supports[2].says
    assert "calls-itself" not in told(found)
    # And it is told of no other finding.
    elsewhere = [
        f.id for f in found.findings if f is not own[0] for s in f.supports if s.kind == "behaviour"
    ]
    assert elsewhere == []


def test_a_finding_is_as_sure_as_its_strongest_support_and_no_surer() -> None:
    both, weights = (finding(ALL[name], "undisclosed-parent") for name in ("everything", "nobody asked"))
    assert both.confidence == weights.confidence


def test_claims_that_one_fact_contradicts_are_one_finding() -> None:
    contradicted = [f for f in ALL["everything"].findings if f.kind == "card-says-otherwise"]
    assert len({f.id for f in contradicted}) == len(contradicted)
    making = next(f for f in contradicted if f.id.endswith("making"))
    assert making.fact == finding(ALL["everything"], "undisclosed-parent").fact
    assert {s.kind for s in making.supports} == {"card", "weights"}


def test_what_a_card_discloses_is_no_accusation_and_the_name_supports_what_is_known() -> None:
    found = ALL["an open card"]
    assert {f.severity for f in found.findings} == {"information"}
    made = finding(found, "made-of")
    assert [s.kind for s in made.supports] == ["weights", "behaviour", "card"]
    assert made.against == ()


def test_a_name_that_is_no_parents_stands_alone_and_weak() -> None:
    own = finding(ALL["a stranger's name"], "calls-itself")
    assert own.confidence.grade == "weak"
    assert own.confidence.bound == "at-most"
    assert own.severity in ("low", "medium")
    assert own.alternatives


def test_behaviour_alone_never_says_what_weights_are_made_of() -> None:
    found = ALL["no audit"]
    assert "made-of" not in told(found)
    assert "undisclosed-parent" not in told(found)
    assert all(f.severity != "high" for f in found.findings)


def test_an_undetermined_audit_accuses_nobody_whatever_is_said_and_claimed() -> None:
    found = ALL["undetermined"]
    assert "made-of" not in told(found)
    assert not any(f.severity == "high" for f in found.findings)
    assert finding(found, "not-settled").confidence.grade == "not-graded"
    assert finding(found, "calls-itself").severity != "high"


def test_words_of_a_template_are_no_second_support() -> None:
    says = {"shipped": lambda k: "I am Nex.", "raw": lambda k: "Hello."}
    asked = interview_of(answers_of(says, samples=60, hidden=hidden("You are Nex.")))
    found = composed("merge", CLOSED, asked)
    assert all(s.kind != "behaviour" for s in finding(found, "undisclosed-parent").supports)
    speaks = finding(found, "template-speaks")
    assert speaks.confidence.grade == "observed"
    assert "Nex: 60 of 60 as shipped, 0 of 60 raw" in speaks.sentence


def test_a_card_that_mentions_a_name_explains_it() -> None:
    card = CLOSED + "\nIt may call itself Qwen.\n"
    assert "calls-itself" not in told(composed("merge", card, unlike("Qwen")))


@pytest.mark.parametrize("name", ALL)
def test_every_finding_rests_on_places_that_are_in_the_file(name: str) -> None:
    dossier = ALL[name]
    for found in dossier.findings:
        assert found.evidence()
        for place in found.evidence():
            assert not isinstance(at_place(dossier, place), Absent), place


@pytest.mark.parametrize("name", ALL)
def test_a_dossier_reads_back_as_it_was(name: str) -> None:
    assert from_json(to_json(ALL[name])) == ALL[name]


@pytest.mark.parametrize("name", ALL)
def test_ids_are_unique_and_the_severest_comes_first(name: str) -> None:
    found = ALL[name].findings
    assert len({f.id for f in found}) == len(found)
    order = ["high", "medium", "low", "information"]
    assert [f.severity for f in found] == sorted((f.severity for f in found), key=order.index)


def test_what_another_reader_and_the_line_say_is_told_and_accuses_nobody() -> None:
    dossier = ALL["looked at again"]
    line, reader = finding(dossier, "along-line"), finding(dossier, "second-reader")
    assert "0.60 (0.55 to 0.66) of the first" in line.sentence
    assert "0.01 nats away at the nearest blend, 0.41 and 0.61 from the parents" in line.sentence
    assert "agrees in 90 % (83 to 94 %) of 118 answers; 2 it did not read" in reader.sentence
    assert {line.severity, reader.severity} == {"information"}
    assert {f.id for f in dossier.findings} - {line.id, reader.id} == {
        f.id for f in ALL["everything"].findings
    }


def test_whoever_has_the_closest_next_tokens_is_called_as_where_it_was_asked() -> None:
    """A real interview of the small affair: label alone would leave a reader to count options."""
    interview = load_interview(ANSWERS / "interview.json")
    (closer,) = (f for f in next_token_findings(interview) if f.kind == "closer-to")
    assert "those of nex (panel-2) than of base (panel-1)" in closer.sentence
    assert closer.id == "closer-to:panel-2:panel-1"


def test_a_suspect_that_is_off_the_line_is_told_to_have_no_place_on_it() -> None:
    away = replace(ALONG, weight=Absent("the suspect is off the line"), how="blends", nearest=0.6)
    line = finding(composed("merge", CLOSED, replace(unlike(), line=away)), "along-line")
    assert "have no place, for the suspect is off the line; they are 0.01 nats away" in line.sentence
    assert "0.60" not in line.sentence


def test_each_kind_says_what_it_would_have_concluded_alone() -> None:
    weights, behaviour, card = ALL["everything"].alone
    assert isinstance(weights.conclusion, str)
    assert weights.conclusion.startswith("merge.safetensors is a merge")
    assert isinstance(behaviour.conclusion, str)
    assert "accuses nobody" in behaviour.conclusion
    assert isinstance(card.conclusion, str)
    assert "base-model kestrel-ai/Kestrel-3.5-397B-A17B" in card.conclusion
    assert [isinstance(a.conclusion, Absent) for a in ALL["nothing"].alone] == [True, True, True]


def test_what_was_not_looked_at_is_told_with_its_reason() -> None:
    told_of = {left.what: left.reason for left in ALL["nothing"].not_looked_at}
    assert set(told_of) == {"the weights", "what it says", "the card"}
    assert all(told_of.values())
    assert "No findings." in render_text(ALL["nothing"])


def test_no_sentence_speaks_of_motives() -> None:
    motive = re.compile(r"\b(lied|liar|steal|stole|fraud|deceiv|hides?\b|hid\b|intend|dishonest|cheat)")
    for dossier in ALL.values():
        assert motive.findall(render_text(dossier).casefold()) == []


def test_the_order_of_parents_and_panel_does_not_move_a_finding() -> None:
    dossier: Dossier = ALL["everything"]
    assert not isinstance(dossier.audit, Absent)
    turned = replace(dossier.audit, parents=tuple(reversed(dossier.audit.parents)))
    from parentage.verdicts.dossier.compose import compose

    again = compose("suspect", turned, dossier.interview, dossier.card, {"suspect": "suspect"})
    assert again.findings == dossier.findings
