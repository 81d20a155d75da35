"""A run's folder in the making: ``OUT.partial``, which takes its name when the run is done.

It holds ``run.json`` (what the run is, so that no other goes on with it), at most one ``state-N`` (what is
needed to go on after step N; safetensors and JSON, nothing that is unpickled), and ``checkpoints``.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from parentage.errors import EvidenceError, InputMissingError, OutputError, UsageError
from parentage.records.json_files import load_json, write_json

__all__ = ["RunFolder", "check_out"]

SCHEMA: Final = "parentage.training-run"
VERSION: Final = 1
STATE: Final = re.compile(r"state-(\d{8})")


class RunFolder:
    """``identity``: what must be equal for a run to be gone on with: names to plain values."""

    def __init__(self, out: Path, identity: Mapping[str, Any]) -> None:
        self.out = out
        self.path = out.with_name(f"{out.name}.partial")
        if self.path.exists():
            self._check_same(identity)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _not_written(self.path, error) from None
        write_json(self.path / "run.json", {"schema": SCHEMA, "version": VERSION, "run": dict(identity)})

    def _check_same(self, identity: Mapping[str, Any]) -> None:
        try:
            earlier = load_json(self.path / "run.json", schema=SCHEMA, version=VERSION).get("run")
        except (InputMissingError, EvidenceError):
            earlier = None
        if not isinstance(earlier, dict):
            raise _other(self.path, "something that is no unfinished run lies there")
        names = sorted(set(earlier) | set(identity))
        differing = [n for n in names if earlier.get(n) != identity.get(n)]
        if differing:
            raise _other(self.path, f"the unfinished run there differs in {', '.join(differing)[:200]}")

    def states(self) -> list[tuple[int, Path]]:
        """Saved states by step, the oldest first."""
        found = [(STATE.fullmatch(p.name), p) for p in self.path.iterdir() if p.is_dir()]
        return sorted((int(m[1]), p) for m, p in found if m)

    def new(self, name: str) -> Path:
        """An empty folder to fill, which ``keep`` gives its name."""
        made = self.path / f"{name}.new"
        shutil.rmtree(made, ignore_errors=True)
        try:
            made.mkdir(parents=True)
        except OSError as error:
            raise _not_written(made, error) from None
        return made

    def keep(self, made: Path, name: str) -> None:
        """A filled folder takes its name, in place of one that an interrupted run left."""
        target = self.path / name
        shutil.rmtree(target, ignore_errors=True)
        _renamed(made, target)

    def keep_state(self, made: Path, step: int) -> None:
        """The same for a state; older ones go."""
        name = f"state-{step:08}"
        self.keep(made, name)
        for _, older in self.states():
            if older.name != name:
                shutil.rmtree(older, ignore_errors=True)

    def publish(self) -> None:
        """The run is done: what only served it goes, and the folder takes its name at once."""
        for path in list(self.path.iterdir()):
            if STATE.match(path.name) or path.name.endswith(".new"):
                shutil.rmtree(path)
        (self.path / "run.json").unlink()
        if self.out.exists():
            self.out.rmdir()
        _renamed(self.path, self.out)


def _renamed(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError as error:
        raise _not_written(target, error) from None


def _not_written(path: Path, error: OSError) -> OutputError:
    return OutputError(
        f"could not be written: {error.strerror or error}",
        code="output-not-written",
        where=str(path),
        hint="check that the folder may be written",
    )


def _other(path: Path, message: str) -> UsageError:
    return UsageError(
        message,
        code="training-other-run",
        where=str(path),
        hint="ask for the same as before, delete it, or name another output",
    )


def check_out(out: Path, inputs: Sequence[str]) -> None:
    """Refuse an output that holds something, or that is, holds or lies in an input.

    Raises ``UsageError`` (``training-output``).
    """
    real = Path(os.path.realpath(out))
    for place in inputs:
        other = Path(os.path.realpath(place))
        if real == other or real in other.parents or (other.is_dir() and other in real.parents):
            raise _output(out, "the output is, holds or lies in an input")
    if real.exists() and (not real.is_dir() or any(real.iterdir())):
        raise _output(out, "the output is there already, and not an empty folder")


def _output(out: Path, message: str) -> UsageError:
    return UsageError(message, code="training-output", where=str(out), hint="name a new folder elsewhere")
