"""The page of a writing: the plot's places, and that no text of a model becomes markup."""

from __future__ import annotations

import re

import pytest

from parentage.records.absence import Absent
from parentage.records.generation import Generation, SwitchSettings, Token, Writing
from parentage.reports.generation_chart import LEFT, MOST_POINTS, WIDTH, entropy_chart
from parentage.reports.generation_html import render_html
from parentage.reports.generation_text import render_text

ATTACK = "<script>document.title='owned'</script>\x1b[2J"


def _writing(tokens: list[Token], text: str = "a") -> Writing:
    return Writing(0, text, tuple(tokens), True)


def _token(entropy: float, mode: str, switched: bool = False, text: str = "a") -> Token:
    return Token(1, text, entropy, mode, switched)


MIXED = [
    _token(1.0, "latent"),
    _token(2.0, "latent"),
    _token(0.5, "explicit", True),
    _token(0.1, "explicit"),
]


def _generation(writing: Writing, switching: SwitchSettings | Absent) -> Generation:
    return Generation("parentage", ATTACK, ATTACK, "shipped", 4, 0.0, switching, (writing,))


def test_bands_tile_the_plot_and_switches_stand_at_their_tokens() -> None:
    chart = entropy_chart(_writing(MIXED))
    assert chart is not None
    assert [(s.mode, s.count) for s in chart.stretches] == [("latent", 2), ("explicit", 2)]
    assert sum(s.width for s in chart.stretches) == pytest.approx(WIDTH - LEFT)
    assert chart.switches == (pytest.approx(LEFT + (WIDTH - LEFT) / 2),)
    assert chart.highest == 2.0


def test_a_long_line_is_thinned_and_keeps_its_peak() -> None:
    tokens = [_token(0.1, "ordinary") for _ in range(10_000)]
    tokens[7_777] = _token(5.0, "ordinary")
    chart = entropy_chart(_writing(tokens))
    assert chart is not None
    points = chart.line.split()
    assert len(points) <= MOST_POINTS
    assert min(float(p.split(",")[1]) for p in points) == 12.0


def test_nothing_written_has_no_plot() -> None:
    assert entropy_chart(_writing([])) is None
    assert "<svg" not in render_html(_generation(_writing([]), Absent("ordinary")))


@pytest.mark.parametrize("switching", [Absent("ordinary"), SwitchSettings(1, 0.7, 512, 3, 32, 0)])
def test_no_text_of_a_model_becomes_markup_or_steers_a_terminal(
    switching: SwitchSettings | Absent,
) -> None:
    tokens = [*MIXED, _token(1.0, "explicit", text=ATTACK)]
    found = _generation(_writing(tokens, ATTACK), switching)
    page = render_html(found)
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\x1b" not in render_text(found)


def test_the_page_tells_how_it_was_decoded() -> None:
    page = render_html(_generation(_writing(MIXED), SwitchSettings(1, 0.7, 512, Absent("none"), 32, 0)))
    assert "alpha 1, beta 0.7, window 512, most switches not limited" in page
    assert re.search(r"4 tokens, ended by the model, 1 switches, 50.0 % with a latent input", page)
