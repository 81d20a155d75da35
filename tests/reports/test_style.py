"""Contrast: the style's own colours, measured as WCAG 2.2 (1.4.3 and 1.4.11) defines it."""

from __future__ import annotations

import re
from importlib.resources import files

from parentage.reports.maps import DIFFERENCE_STEPS, MATCH_STEPS, WEIGHT_STEPS


def _style() -> str:
    return files("parentage.reports").joinpath("templates", "report.css").read_text(encoding="utf-8")


def _luminance(colour: str) -> float:
    full = colour if len(colour) == 7 else "#" + "".join(c * 2 for c in colour[1:])
    parts = [int(full[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_on_every_colour_of_the_maps_can_be_read() -> None:
    found = re.findall(r"^\.([wmd]\d+) \{ background: (#\w+); color: (#\w+); \}$", _style(), re.M)
    names = {name for name, _, _ in found}
    assert names == {
        *(f"w{k}" for k in range(WEIGHT_STEPS)),
        *(f"m{k}" for k in range(len(MATCH_STEPS))),
        *(f"d{k}" for k in range(len(DIFFERENCE_STEPS))),
    }
    for name, ground, ink in found:
        assert _contrast(ground, ink) >= 4.5, name


def test_texts_and_lines_stand_out_in_light_dark_and_print() -> None:
    schemes = re.findall(r":root \{(.*?--ground.*?)\}", _style(), re.S)
    assert len(schemes) == 3
    for scheme in schemes:
        colour = dict(re.findall(r"--([\w-]+): (#\w+);", scheme))
        for ground in (colour["ground"], colour["raised"]):
            for text in ("ink", "faint", "link", "good", "bad", "open", "changed"):
                assert _contrast(colour[text], ground) >= 4.5, text
        for line in ("s0", "s1", "s2", "s3", "s4", "s5", "own", "other", "within"):
            assert _contrast(colour[line], colour["ground"]) >= 3, line
