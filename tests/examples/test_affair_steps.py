"""The example's pipeline keeps what is still true, and makes anew what is not."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
from examples.affair import steps as pipeline
from examples.affair.data import rows, sums
from examples.affair.running import run
from examples.affair.sizes import SIZES, Run
from examples.affair.steps import Failed, Step
from examples.affair.story import steps
from examples.affair.thinking import thought
from examples.affair.upload import without_notes

FIRST = Step("first", ("examples.affair.recipes", "{out}", "./nex", "./base"), "a recipe")
SECOND = Step("second", ("examples.affair.recipes", "{out}", "{first}", "./base"), "another, of the first")


def test_what_was_made_is_kept(tmp_path: Path) -> None:
    before = run([FIRST, SECOND], tmp_path)
    stamp = (tmp_path / "second" / "rio.yaml").stat().st_mtime_ns
    assert run([FIRST, SECOND], tmp_path) == before
    assert (tmp_path / "second" / "rio.yaml").stat().st_mtime_ns == stamp


def test_another_setting_makes_a_step_and_all_that_read_it_anew(tmp_path: Path) -> None:
    before = {d.step: d for d in run([FIRST, SECOND], tmp_path)}
    changed = Step("first", ("examples.affair.recipes", "{out}", "./nex", "./other"), "a recipe")
    after = {d.step: d for d in run([changed, SECOND], tmp_path)}
    assert after["first"].outcome != before["first"].outcome
    assert after["second"].key != before["second"].key


def test_an_outcome_that_was_changed_by_hand_is_made_again(tmp_path: Path) -> None:
    (before,) = run([FIRST], tmp_path)
    (tmp_path / "first" / "rio.yaml").write_text("merge_method: slerp\n")
    assert run([FIRST], tmp_path)[0].outcome == before.outcome
    assert "linear" in (tmp_path / "first" / "rio.yaml").read_text()


def test_what_a_killed_run_left_is_not_taken_for_an_outcome(tmp_path: Path) -> None:
    (before,) = run([FIRST], tmp_path)
    (tmp_path / "first.done.json").unlink()
    (tmp_path / "first" / "rio.yaml").write_text("half a reci")
    assert run([FIRST], tmp_path)[0].outcome == before.outcome


def test_another_commands_unfinished_run_is_cleared_and_ones_own_is_left(tmp_path: Path) -> None:
    run([FIRST], tmp_path)
    (tmp_path / "first.partial").mkdir()
    (tmp_path / "first.done.json").unlink()
    run([FIRST], tmp_path)
    assert not (tmp_path / "first.partial").exists()
    bad = Step("bad", ("inspect", "./no-such-model"), "nothing")
    for _ in range(2):
        with pytest.raises(Failed):
            run([bad], tmp_path)
        # What the failed command began is its own: the same command goes on from it.
        (tmp_path / "bad.partial").mkdir(exist_ok=True)
    assert (tmp_path / "bad.partial").exists()


def test_a_command_that_fails_ends_the_run_with_what_it_printed(tmp_path: Path) -> None:
    bad = Step("bad", ("inspect", "./no-such-model"), "nothing")
    with pytest.raises(Failed, match="ended with 3"):
        run([bad, FIRST], tmp_path)
    assert not (tmp_path / "bad.done.json").exists()
    assert not (tmp_path / "first").exists()


def test_a_step_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="no step third; there are first, second"):
        run([FIRST, SECOND], tmp_path, ["third"])


def test_wanted_steps_bring_what_they_need_and_no_more(tmp_path: Path) -> None:
    assert [d.step for d in run([FIRST, SECOND], tmp_path, ["first"])] == ["first"]
    assert [d.step for d in run([FIRST, SECOND], tmp_path, ["second"])] == ["first", "second"]


@pytest.mark.parametrize("size", sorted(SIZES))
def test_every_step_comes_after_what_it_needs(size: str) -> None:
    seen: set[str] = set()
    for step in steps(SIZES[size]):
        assert set(step.needs) <= seen, step.name
        assert step.name not in seen
        seen.add(step.name)


def test_an_update_in_parts_sees_as_many_examples() -> None:
    assert Run(3, 1e-5, 16, parts=8).options()[-4:] == ("--batch", "2", "--accumulation", "8")
    assert Run(3, 1e-5, 16).options()[-2:] == ("--batch", "16")
    runs = [
        getattr(s, n) for s in SIZES.values() for n in ("nex", "teacher", "honest", "lora", "distill", "rl")
    ]
    assert all(run.examples % run.parts == 0 for run in runs)


def test_times_are_no_part_of_an_outcome(tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("w")
    before = pipeline.digest_of(tmp_path)
    (tmp_path / "times.json").write_text("[1.5]")
    assert pipeline.digest_of(tmp_path) == before
    (tmp_path / "weights").write_text("v")
    assert pipeline.digest_of(tmp_path) != before


def test_no_run_is_trained_on_a_held_out_problem() -> None:
    held = {row["messages"][0]["content"] for row in sums("held-out", 60)}
    asked = {m["content"] for listed in rows().values() for row in listed for m in row["messages"]}
    assert held
    assert not held & asked


def test_a_thought_ends_before_its_answer() -> None:
    (row,) = sums("tuned", 1)
    told = thought(row)["messages"][1]["content"]
    assert told.startswith("<think>")
    assert told.rpartition("</think>")[2] == row["messages"][1]["content"]
    assert " + " in told


def test_the_honest_fine_tunes_are_trained_on_nothing_of_nexs_and_on_nothing_of_each_others() -> None:
    """Every row, question and answer of the three is of one of them alone."""
    files = rows()
    for role in ("user", "assistant"):
        nex, entities, capitals = (
            {m["content"] for row in files[name] for m in row["messages"] if m["role"] == role}
            for name in ("nex", "honest-entities", "honest-capitals")
        )
        assert min(map(len, (nex, entities, capitals))) > 50
        assert not nex & entities
        assert not nex & capitals
        assert not entities & capitals


def test_data_are_the_same_each_time_and_no_file_is_empty() -> None:
    assert rows() == rows()
    assert all(len(listed) > 50 for listed in rows().values())


def test_uploading_as_the_affair_did_leaves_out_the_notes_and_moves_no_weight(tmp_path: Path) -> None:
    header = {
        "__metadata__": {"parentage": "0.57 of nex"},
        "w": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
    }
    text = json.dumps(header).encode()
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(text)) + text + b"\1\2\3")
    without_notes(tmp_path / "a", tmp_path / "b")
    found = (tmp_path / "b").read_bytes()
    (length,) = struct.unpack("<Q", found[:8])
    assert found[8 + length :] == b"\1\2\3"
    assert json.loads(found[8 : 8 + length])["w"] == header["w"]
    assert b"nex" not in found
