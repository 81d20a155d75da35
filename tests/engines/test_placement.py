"""Tasks go where their files lie, to one machine a file, and none is lost with a machine."""

from __future__ import annotations

import pytest

from parentage.engines.placement import Placement


def placement(
    tasks: list[str], holders: dict[str, tuple[str, ...]], slots: dict[str, int] | None = None
) -> Placement[str]:
    """Tasks are called by their place and a number: ``a1``, ``a2``."""
    return Placement(tasks, lambda task: task[0], holders, slots or {"x": 1, "y": 1})


def drained(found: Placement[str], node: str) -> list[str]:
    tasks = []
    while (task := found.next(node)) is not None:
        tasks.append(task)
    return tasks


BOTH = ("x", "y")


def test_tasks_of_one_file_go_to_one_machine_in_their_order() -> None:
    found = placement(["a1", "b1", "a2", "b2"], {"a": BOTH, "b": BOTH})
    assert [found.next("x"), found.next("x")] == ["a1", "a2"]
    assert [found.next("y"), found.next("y")] == ["b1", "b2"]


def test_a_machine_gets_only_tasks_whose_files_it_has() -> None:
    found = placement(["a1", "a2", "b1"], {"a": ("y",), "b": ("x",)})
    assert drained(found, "x") == ["b1"]
    assert drained(found, "y") == ["a1", "a2"]


def test_a_machine_that_is_done_takes_what_others_have_left() -> None:
    found = placement(["a1", "a2", "a3"], {"a": BOTH})
    assert sorted(drained(found, "y")) == ["a1", "a2", "a3"]


def test_larger_machines_get_more() -> None:
    tasks = [f"{place}{k}" for place in "abcd" for k in range(4)]
    found = placement(tasks, dict.fromkeys("abcd", BOTH), {"x": 3, "y": 1})
    theirs = {str(found.next("x"))[0] for _ in range(12)}
    others = {str(found.next("y"))[0] for _ in range(4)}
    assert (len(theirs), len(others)) == (3, 1)
    assert theirs | others == set("abcd")


def test_what_a_lost_machine_had_goes_to_another_that_holds_it() -> None:
    found = placement(["a1", "a2", "b1"], {"a": BOTH, "b": BOTH})
    task = found.next("x")
    assert task == "a1"
    found.lose("x")
    found.again("a1")
    assert found.nodes == ("y",)
    assert sorted(drained(found, "y")) == ["a1", "a2", "b1"]


def test_a_place_that_nobody_holds_any_more_is_named() -> None:
    found = placement(["a1", "b1"], {"a": ("x",), "b": BOTH})
    with pytest.raises(LookupError) as raised:
        found.lose("x")
    assert raised.value.args == ("a",)
    with pytest.raises(LookupError):
        placement(["a1"], {"a": ()})
