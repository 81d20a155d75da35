"""``train randopt`` as a user calls it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from parentage.records.dtypes import DType
from parentage.reports.randopt_text import render_text
from parentage.training.randopt import RandOptSettings, randopt
from tests.cli.running import Run
from tests.training.thinking import open_reckoner, reckoner_folder

without_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is not None, reason="the extra is there"
)


def test_what_makes_no_sense_is_refused_by_code(run: Run, tmp_path: Path) -> None:
    base = reckoner_folder(tmp_path / "base", np.ones(48, np.float32))
    broad = reckoner_folder(tmp_path / "broad", np.ones(48, np.float32), DType.F8_E4M3)
    common = ("--task", "arithmetic", "--out", tmp_path / "out")
    for arguments, code, exit_code in (
        ((base, *common, "--keep", "99"), "randopt-settings", 2),
        ((base, *common, "--sigma", ".1", "--sigmas", ".1"), "randopt-settings", 2),
        ((base, *common, "--sigmas", "a,b"), "randopt-settings", 2),
        ((base, "--task", "chess", "--out", tmp_path / "out"), "task-unknown", 2),
        ((base, "--task", "arithmetic-easy", "--items", "900", "--out", tmp_path / "o"), "task-too-few", 2),
        ((base, "--task", "arithmetic", "--out", base), "randopt-output", 2),
        ((broad, *common), "perturb-format", 3),
        ((tmp_path / "none", *common), "input-missing", 3),
    ):
        done = run("train", "randopt", *arguments)
        assert (done.error, done.code) == (code, exit_code), arguments
    assert not (tmp_path / "out").exists()


@without_torch
def test_without_the_extra_one_error_says_what_to_install(run: Run, tmp_path: Path) -> None:
    base = reckoner_folder(tmp_path / "base", np.ones(48, np.float32))
    done = run("train", "randopt", base, "--task", "arithmetic", "--out", tmp_path / "out")
    assert (done.error, done.code) == ("runtime-missing", 2)
    torchs = run(
        "train", "randopt", base, "--task", "arithmetic", "--out", tmp_path / "o", "--noise", "torch"
    )
    assert torchs.error == "runtime-missing"


def test_what_is_printed_says_how_the_base_did_and_that_chosen_scores_are_too_high(tmp_path: Path) -> None:
    skill = np.random.default_rng(3).normal(0, 0.05, 48).astype(np.float32)
    base = reckoner_folder(tmp_path / "base", skill)
    settings = RandOptSettings(str(base), "arithmetic", tmp_path / "out", 6, (0.05,), 12, 2, 30)
    found = randopt(settings, opener=open_reckoner)
    text = render_text(found, "out")
    for words in ("\nbase ", "\nmember-01 ", "their vote", "too high", "number k of the stream"):
        assert words in text, words
    # (6 members and the base) x 12 problems, (2 kept and the base) x 30.
    assert "174 answers in all" in text
    assert f"{100 * found.ensemble.score.estimate:.1f} %" in text
    assert json.loads((tmp_path / "out" / "randopt.json").read_text())["schema"] == "parentage.randopt"
