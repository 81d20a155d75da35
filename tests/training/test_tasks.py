"""Tasks: what they ask, how they are split, what their scoring takes for an answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parentage.errors import UsageError
from parentage.training.answers import last_number, last_option
from parentage.training.problems import HELD_OUT, TUNED, Item
from parentage.training.task_files import MOST_LINE
from parentage.training.tasks import open_task, task_names


def _file(tmp_path: Path, *lines: object) -> str:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return str(path)


@pytest.mark.parametrize("name", task_names())
def test_the_two_splits_of_a_task_share_no_problem_whatever_the_seeds(name: str) -> None:
    task = open_task(name)
    tuned = {frozenset(i.messages[0]["content"].split()) for i in task.items(TUNED, 60, seed=1)}
    for seed in (1, 2):
        held = {frozenset(i.messages[0]["content"].split()) for i in task.items(HELD_OUT, 60, seed=seed)}
        assert not tuned & held
        assert len(held) == 60


@pytest.mark.parametrize("name", task_names())
def test_a_seed_draws_the_same_problems_again_and_another_seed_others(name: str) -> None:
    task = open_task(name)
    assert task.items(TUNED, 12, 5) == task.items(TUNED, 12, 5)
    assert task.items(TUNED, 12, 5) != task.items(TUNED, 12, 6)


@pytest.mark.parametrize("name", task_names())
def test_the_right_answer_scores_and_a_wrong_one_does_not(name: str) -> None:
    task = open_task(f"task:{name}")
    for item in task.items(TUNED, 20, 0):
        assert task.score(item, f"It is {item.answer}.") == 1.0
        assert task.score(item, item.others[0] if item.others else str(int(item.answer) + 1)) == 0.0
        assert task.score(item, "") == 0.0


def test_the_answers_of_sums_are_their_results_worked_out_again() -> None:
    for name in ("arithmetic", "arithmetic-easy", "arithmetic-medium", "arithmetic-hard"):
        for item in open_task(name).items(HELD_OUT, 30, 3):
            first, sign, second = item.messages[0]["content"].split("What is ")[1].split("?")[0].split()
            value = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[sign](int(first), int(second))
            assert item.answer == str(value)
            assert value >= 0


def test_a_sum_turned_round_lies_in_the_same_split() -> None:
    task = open_task("arithmetic-easy")
    count = sum(len(_all(split)) for split in (TUNED, HELD_OUT))
    assert count == 20 * 21 // 2
    with pytest.raises(UsageError) as caught:
        task.items(TUNED, len(_all(TUNED)) + 1, 0)
    assert caught.value.code == "task-too-few"


def _all(split: str) -> set[tuple[str, ...]]:
    """Every problem that there is, found by asking for more until there are no more."""
    task, count = open_task("arithmetic-easy"), 1
    while True:
        try:
            found = task.items(split, count, 0)
        except UsageError:
            return {tuple(sorted(i.messages[0]["content"].split("?")[0].split())) for i in found}
        count += 1


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("17 + 5 = 22", "22"),
        ("22.", "22"),
        ("It is 1,234.50", "1234.5"),
        ("9-4", "4"),
        ("9 − 13 = −4", "-4"),
        ("-0", "0"),
        ("007", "7"),
        ("none", ""),
        ("(3)-2", "2"),
        ("1" * 5000, "1" * 30),
    ],
)
def test_the_last_number_of_a_text_is_read_in_one_spelling(text: str, number: str) -> None:
    assert last_number(text) == number


def test_an_option_is_read_as_a_whole_word_and_the_last_one_named_counts() -> None:
    assert last_option("Of ice, cup and zoo: CUP", ("ice", "cup", "zoo")) == "cup"
    assert last_option("justice", ("ice",)) == ""


def test_a_file_of_problems_is_split_and_scored_as_it_says(tmp_path: Path) -> None:
    lines = [{"prompt": f"Capital number {k}?", "answer": f"City {k}"} for k in range(40)]
    path = _file(tmp_path, *lines)
    exact, contained = open_task(path), open_task(f"{path}:contains")
    one, other = exact.items(TUNED, 10, 0), exact.items(HELD_OUT, 10, 0)
    assert not {i.key for i in one} & {i.key for i in other}
    item = one[0]
    assert exact.score(item, f" {item.answer.upper()}. ") == 1.0
    assert exact.score(item, f"It is {item.answer}") == 0.0
    assert contained.score(item, f"It is {item.answer}, I think") == 1.0
    numbered = open_task(f"{_file(tmp_path, *[{'prompt': f'{k}?', 'answer': k} for k in range(9)])}:number")
    assert numbered.score(numbered.items(TUNED, 1, 0)[0], "so 3.0") == float(
        numbered.items(TUNED, 1, 0)[0].answer == "3"
    )


def test_a_prompt_with_two_answers_lies_in_one_split(tmp_path: Path) -> None:
    lines = [{"prompt": f"q{k // 2}", "answer": f"a{k}"} for k in range(40)]
    task = open_task(_file(tmp_path, *lines))
    prompts = [{i.messages[0]["content"] for i in task.items(s, 5, 0)} for s in (TUNED, HELD_OUT)]
    assert not prompts[0] & prompts[1]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("no json", "line 2"),
        ("[1]", "line 2"),
        ('{"prompt": "x"}', "line 2"),
        ('{"prompt": "x", "answer": true}', "line 2"),
        ('{"prompt": "", "answer": "a"}', "line 2"),
        ('{"prompt": [{"role": "boss", "content": "x"}], "answer": "a"}', "line 2"),
        ('{"prompt": [], "answer": "a"}', "line 2"),
        ("[" * 100_000, "line 2"),
        ('{"prompt": "' + "x" * MOST_LINE + '", "answer": "a"}', "line 2"),
    ],
)
def test_a_line_that_is_no_problem_is_refused_with_its_number(tmp_path: Path, line: str, told: str) -> None:
    path = _file(tmp_path, {"prompt": "x", "answer": "y"}, line)
    with pytest.raises(UsageError) as caught:
        open_task(path)
    assert (caught.value.code, told in caught.value.where) == ("task-file", True)


def test_what_is_no_task_is_refused_by_code(tmp_path: Path) -> None:
    empty = str(tmp_path / "empty.jsonl")
    Path(empty).write_text("\n\n")
    for name, code in (
        ("chess", "task-unknown"),
        (f"{empty}:taste", "task-scoring"),
        (empty, "task-file"),
        (str(tmp_path / "none.jsonl"), "task-file"),
        (str(tmp_path), "task-file"),
        (f"{_file(tmp_path, {'prompt': 'x', 'answer': 'many'})}:number", "task-file"),
    ):
        with pytest.raises(UsageError) as caught:
            open_task(name)
        assert caught.value.code == code, name
    with pytest.raises(UsageError) as caught:
        open_task("words").items("all", 1, 0)
    assert caught.value.code == "task-split"


def test_equal_problems_have_one_key() -> None:
    message = ({"role": "user", "content": "x"},)
    assert Item(message, "1").key == Item(message, "1", ("2",)).key
    assert Item(message, "1").key != Item(message, "2").key
