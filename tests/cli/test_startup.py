"""Asking for help imports nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "numba", "scipy", "rich", "jinja2", "yaml", "llvmlite")
PROGRAM = """
import sys
from parentage.cli.main import main
try:
    main()
except SystemExit as ended:
    assert ended.code == 0, ended.code
finally:
    print("loaded:", *sorted({name.partition(".")[0] for name in sys.modules}))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["audit", "--help"],
        ["verify", "--help"],
        ["report", "--help"],
        ["inspect", "--help"],
        ["diff", "--help"],
        ["interview", "--help"],
    ],
)
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    loaded = done.stdout.split("loaded:")[1].split()
    assert "typer" in loaded
    assert not set(HEAVY) & set(loaded)
