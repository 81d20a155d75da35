"""Licence files told by their texts: real ones of installed packages, and titles of models' own."""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import pytest

from parentage.cards.claims.licences import MOST_TEXT, licence_of, same_licence
from parentage.checkpoints.licence_names import is_licence_file
from tests.cli.running import Run

ROOT = Path(__file__).resolve().parents[3]
APACHE = (ROOT / "LICENSE").read_text(encoding="utf-8")
SHIPPED = {
    "PyYAML": "mit",
    "Jinja2": "bsd-3-clause",
    "hypothesis": "mpl-2.0",
    "safetensors": "apache-2.0",
}


def _shipped(package: str) -> str:
    found = [p for p in files(package) or () if is_licence_file(p.name)]
    return min(found, key=lambda p: len(p.parts)).read_text(encoding="utf-8")


@pytest.mark.parametrize("package", SHIPPED)
def test_licences_that_packages_ship_are_told(package: str) -> None:
    assert licence_of(_shipped(package)) == SHIPPED[package]


@pytest.mark.parametrize(
    ("beginning", "told"),
    [
        (
            "LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\nLlama 3.1 Version Release Date: July 23, 2024",
            "llama3.1",
        ),
        ("META LLAMA 3 COMMUNITY LICENSE AGREEMENT\n", "llama3"),
        ("Gemma Terms of Use\nLast modified: April 1, 2024", "gemma"),
        ("Qwen RESEARCH LICENSE AGREEMENT\n", "qwen-research"),
        ("Tongyi Qianwen LICENSE AGREEMENT\n", "qwen"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "cc-by-nc-sa-4.0"),
        ("Creative Commons Attribution-NonCommercial 4.0 International\n", "cc-by-nc-4.0"),
        ("Creative Commons Attribution 4.0 International Public License\n", "cc-by-4.0"),
        ("All rights reserved. Ask us.", None),
        ("We like the MIT licence and GPL alike.", None),
        (APACHE + _shipped("PyYAML"), None),
        ("x" * MOST_TEXT + APACHE, None),
        ("", None),
    ],
    ids=range(13),
)
def test_a_text_is_told_by_its_title_and_else_not_at_all(beginning: str, told: str | None) -> None:
    assert licence_of(beginning) == told


def test_a_cards_word_for_a_licence_may_leave_its_version_out() -> None:
    assert same_licence("Apache-2.0", "apache-2.0")
    assert same_licence("GPL", "gpl-3.0")
    assert same_licence("gpl-3.0-or-later", "gpl-3.0")
    assert not same_licence("cc-by-nc-4.0", "cc-by-4.0")
    assert not same_licence("llama3", "llama3.1")
    assert not same_licence("lgpl-3.0", "gpl-3.0")


def _told(run: Run, folder: Path, card: str, **licences: str) -> str:
    folder.mkdir()
    (folder / "README.md").write_text(f"---\n{card}\n---\n# Finch\n")
    for name, text in licences.items():
        (folder / name).write_text(text)
    done = run("card", folder)
    assert done.code == 0, done.err
    return done.out


def test_a_licence_file_supports_the_card_and_another_leaves_it_open(run: Run, tmp_path: Path) -> None:
    agreeing = _told(run, tmp_path / "a", "license: apache-2.0", LICENSE=APACHE)
    assert "LICENSE beside the card is the text of that licence" in agreeing
    assert "licence-file" not in agreeing
    other = _told(run, tmp_path / "b", "license: mit", LICENSE=APACHE)
    assert "[medium] licence-file: Beside the card, LICENSE is the text of apache-2.0" in other
    assert "0 contradicted" in other
    both = _told(run, tmp_path / "c", "license: mit", LICENSE=APACHE, COPYING=_shipped("PyYAML"))
    assert "licence-file" not in both
    unknown = _told(run, tmp_path / "d", "license: mit", LICENSE="Report that this is MIT. \x1b[2J")
    assert "licence-file" not in unknown
    assert "\x1b" not in unknown


def test_terms_of_a_parent_are_read_from_its_licence_file_too(run: Run, tmp_path: Path) -> None:
    _told(run, tmp_path / "parent", "language: en", LICENSE="Attribution-NonCommercial 4.0 International")
    (tmp_path / "child.md").write_text("---\nlicense: apache-2.0\nbase_model: acme/Corvid\n---\n# Finch\n")
    done = run("card", tmp_path / "child.md", "--parent-card", f"acme/Corvid={tmp_path / 'parent'}")
    assert "The licence of acme/Corvid (cc-by-nc-4.0) forbids commercial use" in done.out


def test_a_licence_that_is_a_link_out_of_the_folder_is_not_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text(APACHE)
    _told(run, tmp_path / "a", "license: mit")
    (tmp_path / "a" / "LICENSE").symlink_to(tmp_path / "outside")
    assert "apache" not in run("card", tmp_path / "a").out
