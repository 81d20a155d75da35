"""A step is one command; what it makes is kept until what it is made from changes."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["Done", "Failed", "Step", "digest_of", "run", "shown"]

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
    """What a step took. ``peak_mb``: of its own process, in MiB; ``key``: what it was made from."""

    step: str
    command: str
    key: str
    outcome: str
    seconds: float
    peak_mb: int


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


def _key(step: Step, made: Mapping[str, Done]) -> str:
    """Of the command, of what it reads, and of the program where that is this example's."""
    parts: list[str] = list(step.argv)
    parts += [made[name].outcome for name in step.needs]
    if any("{story}" in word for word in step.argv) or step.argv[0] == f"{_OWN}data":
        parts.append(digest_of(HERE / "story"))
    if step.argv[0].startswith(_OWN):
        parts.append(digest_of(HERE / f"{step.argv[0].removeprefix(_OWN)}.py"))
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def run(steps: Sequence[Step], work: Path, wanted: Sequence[str] = ()) -> list[Done]:
    """All steps in order, or the wanted ones and what they need; raises :class:`Failed`.

    A step that was finished with the same key is not run again; one that was killed is begun again in its
    folder, where commands that can resume do.
    """
    made: dict[str, Done] = {}
    chosen = _chosen(steps, wanted)
    for number, step in enumerate(chosen, 1):
        key = _key(step, made)
        print(f"[{number}/{len(chosen)}] {step.name}: {step.about}", flush=True)
        made[step.name] = _kept(work, step, key) or _made(work, step, key)
    return list(made.values())


def _chosen(steps: Sequence[Step], wanted: Sequence[str]) -> list[Step]:
    by_name = {s.name: s for s in steps}
    waiting, found = list(wanted or by_name), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in by_name:
            raise Failed(f"there is no step {name}; there are {', '.join(by_name)}")
        if name not in found:
            found.add(name)
            waiting += by_name[name].needs
    return [s for s in steps if s.name in found]


def _kept(work: Path, step: Step, key: str) -> Done | None:
    record = work / f"{step.name}.done.json"
    if not record.is_file():
        return None
    done = Done(**json.loads(record.read_text("utf-8")))
    # A folder that was changed by hand is no outcome of the command.
    if done.key != key or digest_of(work / step.name) != done.outcome:
        return None
    print(f"    kept from before ({done.seconds:.0f} s, {done.peak_mb} MiB)", flush=True)
    return done


def _made(work: Path, step: Step, key: str) -> Done:
    out, begun = work / step.name, work / f"{step.name}.begun"
    if not (begun.is_file() and begun.read_text("utf-8") == key):
        # `parentage train` keeps what it can go on from beside its output, and refuses another run's.
        for left in (out, out.with_name(f"{step.name}.partial")):
            shutil.rmtree(left, ignore_errors=True)
    out.mkdir(parents=True, exist_ok=True)
    begun.write_text(key, encoding="utf-8")
    command = shown(step)
    print(f"    $ {command}", flush=True)
    seconds, peak = _ran(_words(work, step), work / f"{step.name}.txt")
    done = Done(step.name, command, key, digest_of(out), round(seconds, 1), peak)
    record = work / f"{step.name}.done.json"
    record.write_text(json.dumps(asdict(done), indent=1) + "\n", encoding="utf-8")
    begun.unlink()
    print(f"    {seconds:.0f} s, {peak} MiB", flush=True)
    return done


def _words(work: Path, step: Step) -> list[str]:
    places = {"out": work / step.name, "story": HERE / "story"}
    words = [_PLACE.sub(lambda m: str(places.get(m[1], work / m[1])), w) for w in step.argv]
    if step.argv[0].startswith(_OWN):
        return [sys.executable, "-m", *words]
    return [sys.executable, "-c", "from parentage.cli.main import main; main()", *words]


def _ran(words: list[str], log: Path) -> tuple[float, int]:
    """Seconds, and the most memory of the process in MiB; what it printed lies in ``log``."""
    began = time.monotonic()
    with log.open("wb") as stream:
        process = subprocess.Popen(words, stdout=stream, env=os.environ | {"PYTHONHASHSEED": "0"})
        _, status, usage = os.wait4(process.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    if code != 0:
        tail = log.read_text("utf-8", errors="replace")[-2000:]
        raise Failed(f"{shlex.join(words)}\nended with {code}; {log} holds what it printed:\n{tail}")
    return time.monotonic() - began, usage.ru_maxrss // 1024
