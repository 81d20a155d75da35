"""One sequence's switches follow the paper: entropies in, modes and injected words out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parentage.behaviour.generation.switching import EXPLICIT, LATENT, Marks, Settings, Switcher
from parentage.errors import UsageError

MARKS = Marks(begin=1, end=2, conclude=(2,), answer=(2, 7, 8))


def _modes(entropies: list[float], settings: Settings) -> list[str]:
    switcher = Switcher(settings, MARKS, total=100)
    return [switcher.step(h, 5).mode for h in entropies]


def test_it_starts_latent_and_turns_explicit_when_the_entropy_falls_below_that_of_the_block() -> None:
    assert _modes([2.0, 2.5, 2.0, 1.9], Settings(window=1)) == [LATENT, LATENT, LATENT, EXPLICIT]


def test_it_turns_back_only_when_the_entropy_has_risen_and_the_window_has_passed() -> None:
    entropies = [2.0, 1.0, 1.5, 1.5, 1.5, 0.5]
    assert _modes(entropies, Settings(window=3)) == [LATENT, EXPLICIT, EXPLICIT, EXPLICIT, LATENT, EXPLICIT]


def test_the_reference_is_reset_at_each_switch() -> None:
    """After the switch at 1.0, an entropy of 1.2 is a rise although the first block began at 2."""
    assert _modes([2.0, 1.0, 1.2], Settings(window=1)) == [LATENT, EXPLICIT, LATENT]


def test_after_the_model_has_ended_its_thinking_it_stays_explicit() -> None:
    switcher = Switcher(Settings(window=1), MARKS, total=100)
    modes = [switcher.step(h, token).mode for h, token in ((2.0, 5), (1.0, 2), (1.9, 5), (3.0, 5))]
    assert modes == [LATENT, EXPLICIT, EXPLICIT, EXPLICIT]


def test_the_shares_that_are_kept_at_a_switch_rise_to_one_at_the_last_step() -> None:
    switcher = Switcher(Settings(alpha=0.6, beta=0.7, window=1), MARKS, total=10)
    found = [switcher.step(h, 5) for h in (2.0, 1.0, 1.5)]
    assert [d.mixed for d in found] == [None, MARKS.end, MARKS.begin]
    assert found[1].kept == pytest.approx(0.7 + 0.3 * 1 / 10)
    assert found[2].kept == pytest.approx(0.6 + 0.4 * 2 / 10)


def test_between_the_cap_and_twice_the_cap_thinking_is_asked_to_end_and_then_an_answer_is_forced() -> None:
    settings = Settings(window=1, most_switches=1, answer_tokens=5)
    switcher = Switcher(settings, MARKS, total=100)
    tokens, last = [], False
    for k in range(40):
        found = switcher.step(2.0 if k % 2 == 0 else 1.0, 5)
        tokens.append(found.token)
        last = found.last
        if last:
            break
    # Switches at steps 1, 3 and 5; what they inject is written from the step after.
    assert tokens == [5, 5, 2, 5, 2, 5, 2, 7, 8, 5]
    assert last


@given(st.lists(st.floats(0.0, 10.0), min_size=1, max_size=60), st.integers(1, 5), st.integers(1, 8))
def test_a_cap_ends_every_sequence_that_goes_on_switching(
    entropies: list[float], cap: int, budget: int
) -> None:
    settings = Settings(window=1, most_switches=cap, answer_tokens=budget)
    switcher = Switcher(settings, MARKS, total=len(entropies))
    after = 0
    for h in entropies:
        found = switcher.step(h, 5)
        if switcher.switches > 2 * cap:
            after += 1
        assert found.last == (after >= budget)
        if found.last:
            break
    assert after <= budget


@pytest.mark.parametrize(
    "wrong",
    [{"alpha": 1.5}, {"beta": -0.1}, {"window": -1}, {"most_switches": 0}, {"answer_tokens": 0}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Settings(**wrong)  # type: ignore[arg-type]
