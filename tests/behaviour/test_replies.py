"""What an endpoint's JSON may hold where a number is looked for."""

from __future__ import annotations

from typing import Any

import pytest

from parentage.behaviour.endpoints.replies import reply_of, scores_of, top_of
from parentage.behaviour.targets import TokenScores
from parentage.records.absence import Absent

NO_LOGPROB = (None, True, "-1", [], {}, float("nan"), float("-inf"), 0.5, 10**400, -(10**400))


def _top(value: object) -> dict[str, Any]:
    return {"choices": [{"logprobs": {"top_logprobs": [{"a": value}]}}]}


def _echo(*values: object) -> dict[str, Any]:
    told = {"token_logprobs": list(values), "text_offset": list(range(len(values)))}
    return {"choices": [{"logprobs": told}]}


@pytest.mark.parametrize("value", NO_LOGPROB, ids=range(len(NO_LOGPROB)))
def test_what_is_no_log_probability_is_none(value: object) -> None:
    assert isinstance(top_of(_top(value)), Absent)
    assert isinstance(scores_of(_echo(None, -1.0, value), 1), Absent)


def test_whole_numbers_and_the_two_dialects_of_log_probabilities_are_read() -> None:
    assert top_of(_top(-2)) == TokenScores(("a",), (-2.0,))
    chat = {"token": "b", "top_logprobs": [{"token": "b", "logprob": -1.5}, {"token": 3, "logprob": -0.1}]}
    assert top_of({"choices": [{"logprobs": {"content": [chat]}}]}) == TokenScores(("b",), (-1.5,))
    assert scores_of(_echo(None, -1, -2.5), 1) == [-1.0, -2.5]


@pytest.mark.parametrize("count", [None, True, -1, 2**31, 10**400, 3.0, "3"], ids=range(7))
def test_what_is_no_count_of_tokens_is_not_counted(count: object) -> None:
    body = {"choices": [{"text": "x"}], "usage": {"prompt_tokens": count, "completion_tokens": 3}}
    reply = reply_of(body)
    assert isinstance(reply.tokens_in, Absent)
    assert reply.tokens_out == 3
