"""A step is one command; what it makes is kept until what it is made from changes."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HERE", "Done", "Failed", "Step", "digest_of", "key_of", "shown", "words_of"]

HERE = Path(__file__).parent
_PLACE = re.compile(r"\{([a-z][a-z0-9-]*)\}")
_OWN = "examples.affair."


@dataclass(frozen=True, slots=True)
class Step:
    """``argv``: arguments of ``parentage``, or a module of this example with its own. ``{out}`` stands for
    what the step makes, ``{story}`` for the folder of texts, ``{NAME}`` for what another step made."""

    name: str
    argv: tuple[str, ...]
    about: str

    @property
    def needs(self) -> tuple[str, ...]:
        """Steps whose outcome it reads, each once, in order."""
        found = (place for word in self.argv for place in _PLACE.findall(word))
        return tuple(dict.fromkeys(p for p in found if p not in ("out", "story")))


@dataclass(frozen=True, slots=True)
class Done:
    """What a step took. ``peak_mb``: of its own process, in MiB; ``key``: what it was made from; ``cpu``:
    seconds of processor, of it and its children; a busy machine stretches ``seconds`` alone."""

    step: str
    command: str
    key: str
    outcome: str
    seconds: float
    peak_mb: int
    cpu: float = 0.0


class Failed(Exception):
    """A command ended with another code than 0."""


def digest_of(place: Path) -> str:
    """SHA-256 of a file, or of the names and digests of all files of a folder but those of times."""
    if place.is_file():
        with place.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    total = hashlib.sha256()
    for path in sorted(p for p in place.rglob("*") if p.is_file() and p.name != "times.json"):
        total.update(f"{path.relative_to(place)}\0{digest_of(path)}\n".encode())
    return total.hexdigest()


def shown(step: Step) -> str:
    """The command as a reader would type it, folders by their short names."""
    words = [w.replace("{out}", f"./{step.name}").replace("{story}", "./story") for w in step.argv]
    program = ["python", "-m"] if step.argv[0].startswith(_OWN) else ["parentage"]
    return shlex.join([*program, *(_PLACE.sub(r"./\1", w) for w in words)])


def key_of(step: Step, made: Mapping[str, Done]) -> str:
    """Of the command, of what it reads, and of the program where that is this example's."""
    parts: list[str] = list(step.argv)
    parts += [made[name].outcome for name in step.needs]
    if any("{story}" in word for word in step.argv) or step.argv[0] == f"{_OWN}data":
        parts.append(digest_of(HERE / "story"))
    if step.argv[0].startswith(_OWN):
        parts.append(digest_of(HERE / f"{step.argv[0].removeprefix(_OWN)}.py"))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def words_of(step: Step, work: Path) -> list[str]:
    """What is started, its places under ``work``."""
    places = {"out": work / step.name, "story": HERE / "story"}
    words = [_PLACE.sub(lambda m: str(places.get(m[1], work / m[1])), w) for w in step.argv]
    if step.argv[0].startswith(_OWN):
        return [sys.executable, "-m", *words]
    return [sys.executable, "-c", "from parentage.cli.main import main; main()", *words]
