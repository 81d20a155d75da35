"""Divergences are bounds, tests are exact, and a relative is found among strangers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from parentage.behaviour.answers_file import load_answers
from parentage.behaviour.distributions import coarse_divergence, neutral_prompts, sign_test
from parentage.behaviour.targets import TokenScores
from parentage.records.absence import Absent
from tests.behaviour.conftest import Serve
from tests.behaviour.servers import Persona
from tests.cli.running import Run

TOKENS = [" a", " b", " c", " d", " e", " f", " g", " h"]


def _told(p: np.ndarray, top: int) -> TokenScores:
    order = np.argsort(-p)[:top]
    return TokenScores(tuple(TOKENS[k] for k in order), tuple(float(np.log(p[k])) for k in order))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), top=st.integers(1, 8))
def test_the_divergence_of_what_is_told_never_exceeds_the_whole_one(seed: int, top: int) -> None:
    rng = np.random.default_rng(seed)
    p, q = rng.dirichlet(np.ones(8) * 0.5, 2) * 0.998 + 0.00025
    p, q = p / p.sum(), q / q.sum()
    whole = float(np.sum(p * np.log(p / q)))
    assert coarse_divergence(_told(p, top), _told(q, top)) <= whole + 1e-4
    assert coarse_divergence(_told(p, 8), _told(q, 8)) == pytest.approx(whole, abs=1e-4)
    assert coarse_divergence(_told(p, top), _told(p, top)) == 0.0


def test_parts_of_letters_are_told_apart_by_no_runtime_and_count_among_the_rest() -> None:
    """One distribution as transformers and as llama.cpp's server write it: U+FFFD, nothing, a space."""
    ours = TokenScores(
        (",", "\ufffd", "\ufffd", " \ufffd", "的"), tuple(map(math.log, (0.4, 0.2, 0.1, 0.1, 0.1)))
    )
    theirs = TokenScores((",", "", "", " ", "的"), ours.logprobs)
    assert coarse_divergence(ours, theirs) == coarse_divergence(theirs, ours) == pytest.approx(0, abs=1e-12)
    other = TokenScores((",", "", "", " ", "的"), tuple(map(math.log, (0.1, 0.2, 0.1, 0.1, 0.4))))
    assert coarse_divergence(ours, other) > 0.3


def test_two_unlike_tokens_of_one_text_never_make_a_divergence_larger_than_the_true_one() -> None:
    """Nearly equal, but one tells one part of a letter among its three, the other two."""
    p = {"a": 0.4, "part": 0.21, "b": 0.2, "other part": 0.19}
    q = {"a": 0.4, "part": 0.21, "other part": 0.2, "b": 0.19}
    whole = math.fsum(p[k] * math.log(p[k] / q[k]) for k in p)
    one, two = (
        TokenScores(
            tuple("\ufffd" if "part" in k else k for k in list(d)[:3]),
            tuple(math.log(v) for v in list(d.values())[:3]),
        )
        for d in (p, q)
    )
    assert coarse_divergence(one, two) <= whole


@pytest.mark.parametrize(("ahead", "behind"), [(0, 0), (10, 2), (2, 10), (5, 5), (48, 0)])
def test_the_sign_test_is_the_exact_binomial_one(ahead: int, behind: int) -> None:
    n = ahead + behind
    wanted = stats.binomtest(ahead, n, 0.5).pvalue if n else 1.0
    assert sign_test(ahead, behind) == pytest.approx(wanted)


def _speaker(seed: int, noise: float = 0.0, drawn: int = 0) -> Callable[[str], dict[str, float]]:
    """A model whose next tokens follow from the prompt; ``noise`` moves their logits."""

    def top(prompt: str) -> dict[str, float]:
        place = sum(map(ord, prompt))
        logits = np.random.default_rng((seed, place)).normal(size=8) * 2
        logits += noise * np.random.default_rng((drawn, place)).normal(size=8)
        logprobs = logits - np.logaddexp.reduce(logits)
        return {TOKENS[k]: float(logprobs[k]) for k in np.argsort(-logits)[:5]}

    return top


def test_a_suspect_is_found_closer_to_its_parent_than_to_a_stranger(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    suspect, parent, stranger = (
        serve(Persona(top=top)) for top in (_speaker(1, 0.2, 7), _speaker(1), _speaker(2))
    )
    line = (
        "--samples",
        "2",
        "--condition",
        "shipped",
        "--language",
        "en",
        "--out",
        tmp_path,
        "--json",
        "-",
    )
    done = run("interview", suspect.url, "--panel", parent.url, "--panel", stranger.url, *line)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    near, far = found["distances"]
    assert near["prompts"] == len(neutral_prompts()) == 48
    assert near["divergence"] < 0.1 < far["divergence"]
    assert near["agreement"]["low"] > far["agreement"]["high"]
    (closer,) = found["closer"]
    assert closer["first_closer"] > 40
    assert closer["p_holm"] < 1e-6


def test_two_strangers_are_rarely_told_apart() -> None:
    """Of 200 worlds in which the suspect is no closer to either, no more than stated are rejected."""
    rng = np.random.default_rng(3)
    rejected = 0
    for _ in range(200):
        worlds = rng.dirichlet(np.ones(8), (3, 24))
        suspect, one, two = ([_told(p, 5) for p in w] for w in worlds)
        ahead = sum(
            coarse_divergence(s, a) < coarse_divergence(s, b)
            for s, a, b in zip(suspect, one, two, strict=True)
        )
        rejected += sign_test(ahead, 24 - ahead) <= 0.05
    assert stats.binomtest(rejected, 200, 0.05, alternative="greater").pvalue > 1e-3


def test_an_endpoint_without_log_probabilities_gives_no_distance(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    line = (
        "--samples",
        "2",
        "--condition",
        "shipped",
        "--language",
        "en",
        "--out",
        tmp_path,
        "--json",
        "-",
    )
    done = run("interview", serve(Persona()).url, "--panel", serve(Persona()).url, *line)
    found = json.loads(done.out)
    assert (found["distances"], found["closer"]) == ([], [])
    assert math.isclose(found["asking"]["temperature"], 1.0)


def test_a_beginning_of_which_nothing_is_told_leaves_the_others(
    run: Run, serve: Serve, tmp_path: Path
) -> None:
    """As llama.cpp's server does where the next token is a part of a letter."""

    def some(prompt: str) -> dict[str, float]:
        return {} if prompt.startswith(("做", "真")) else {"a": -0.1, "b": -3.0}

    few, whole = serve(Persona(top=some)), serve(Persona(top=lambda prompt: {"a": -0.1, "b": -3.0}))
    line = ("--samples", "2", "--condition", "shipped", "--language", "en", "--out", tmp_path)
    found = json.loads(run("interview", few.url, "--panel", whole.url, *line, "--json", "-").out)
    (distance,) = found["distances"]
    assert (distance["prompts"], distance["same_first"]) == (46, 46)
    kept = load_answers(tmp_path / "suspect.jsonl").next_tokens
    assert not isinstance(kept, Absent)
    assert [n.prompt for n in kept if not n.tokens] == ["zh-6", "ja-5"]


def test_who_tells_nothing_is_not_asked_for_ever(run: Run, serve: Serve, tmp_path: Path) -> None:
    def probed(prompt: str) -> dict[str, float]:
        return {"Paris": -0.1} if prompt == "The capital of France is" else {}

    server = serve(Persona(top=probed))
    run("interview", server.url, "--samples", "2", "--condition", "shipped", "--out", tmp_path)
    asked = [b for b in server.persona.asked if b.get("logprobs")]
    assert len(asked) < 12
    assert isinstance(load_answers(tmp_path / "suspect.jsonl").next_tokens, Absent)
