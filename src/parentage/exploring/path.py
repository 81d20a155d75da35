"""The line between two models: loss, scores and names at each weight, and where a suspect falls on it.

Sources: linear mode connectivity (Garipov et al. 2018, arXiv 1802.10026; Frankle et al. 2020, arXiv
1912.05671). Each model on the line is made by the merger as a user would make it, stored, loaded and asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from parentage import __version__
from parentage.behaviour.targets import TokenScores
from parentage.errors import UsageError
from parentage.exploring.curves import Curve
from parentage.exploring.making import blend, file_digests, passing_merge
from parentage.exploring.naming import Interviewer, Named, interviewer
from parentage.exploring.placing import Runner, Told, in_memory, placed_among
from parentage.exploring.texts import read_texts
from parentage.records.absence import Absent
from parentage.records.codec import from_plain, to_plain
from parentage.records.estimate import Estimate
from parentage.records.exploring import PathExplored, PathPoint, SuspectPlace
from parentage.training.asking import ask
from parentage.training.ledger import Ledger
from parentage.training.models import Model, Opener, opener_on
from parentage.training.problems import HELD_OUT, Item, Task
from parentage.training.randopt import libraries
from parentage.training.scores import rate
from parentage.training.tasks import open_task

__all__ = ["PathSettings", "explore_path"]

MOST_POINTS: Final = 101
NO_TASK: Final = Absent("no task was asked for")
NO_INTERVIEW: Final = Absent("no interview was asked for")
NO_SUSPECT: Final = Absent("no suspect was named")
MEASURED: Final = "measured.jsonl"
Progress = Callable[[str, int, int], None]
LIMITS: Final = (
    "A low loss all along the line is what models that descend from one another show, and siblings too: "
    "it proves no merge.",
    "Every model has a nearest blend. A place is told where no more is left there than blends leave; what "
    "is no merge of these two may pass. An audit of the weights gives a merge's weights far more exactly.",
    "What a model says of itself follows its weights and its template; rates here are with the template's "
    "own words taken out.",
)


@dataclass(frozen=True, slots=True)
class PathSettings:
    """``first``, ``second``, ``suspect``: folders; ``out``: keeps what was measured, so that the run can go
    on; ``points``: weights from 0 to 1, evenly; ``items``: problems of ``task``; ``interview``: answers a
    model, 0 for none, each of at most ``most_tokens``."""

    first: str
    second: str
    out: Path
    suspect: str | None = None
    task: str | None = None
    text: Path | None = None
    points: int = 11
    items: int = 48
    interview: int = 0
    languages: tuple[str, ...] = ("en",)
    most_tokens: int = 64
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        if not 3 <= self.points <= MOST_POINTS:
            raise _senseless(f"a line has 3 to {MOST_POINTS} points, not {self.points}")
        if self.items < 1 or self.interview < 0 or self.most_tokens < 1:
            raise _senseless("problems and tokens are 1 or more, answers of an interview 0 or more")


def _senseless(message: str) -> UsageError:
    return UsageError(message, code="explore-settings", hint="parentage explore path --help")


def _silent(stage: str, done: int, total: int) -> None:
    """Nobody listens."""


def explore_path(
    settings: PathSettings,
    *,
    opener: Opener | None = None,
    interview: Interviewer | None = None,
    runner: Runner = in_memory,
    progress: Progress = _silent,
) -> PathExplored:
    """Make, ask, throw away, point by point. On the disk: one merge beside what is kept in ``out``.

    The suspect's place is read off finer blends than the points, which ``runner`` makes in memory.
    Raises ``UsageError`` (``explore-settings``, ``explore-text``, ``ledger-other-run``, ``task-…``),
    ``PlanError`` where the two cannot be merged, ``OutputError`` and what loading raises.
    """
    texts = read_texts(settings.text)
    task = None if settings.task is None else open_task(settings.task)
    items = () if task is None else task.items(HELD_OUT, settings.items, settings.seed)
    places = [p for p in (settings.first, settings.second, settings.suspect) if p is not None]
    files = {place: file_digests(place) for place in places}
    held = interview or interviewer(
        settings.interview,
        languages=settings.languages,
        max_tokens=settings.most_tokens,
        seed=settings.seed,
    )
    ledger = Ledger(settings.out / MEASURED, _identity(settings, files, texts))
    try:
        opened = opener or opener_on(settings.device)
        line = _Line(settings, texts, task, items, ledger, opened, held, runner)
        return line.explored(files, progress)
    finally:
        ledger.close()


def _asked(settings: PathSettings) -> dict[str, Any]:
    return {
        "suspect": settings.suspect,
        "task": settings.task,
        "text": None if settings.text is None else str(settings.text),
        "points": settings.points,
        "items": settings.items,
        "interview": settings.interview,
        "languages": list(settings.languages),
        "most_tokens": settings.most_tokens,
        "seed": settings.seed,
        "device": settings.device,
    }


def _identity(settings: PathSettings, files: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    # A line of other points is the same measurements, of which some are there.
    own = {k: v for k, v in _asked(settings).items() if k not in ("points", "text")}
    return {
        **own,
        "texts": list(texts),
        "weights": dict(files),
        "libraries": libraries(),
        "version": __version__,
    }


@dataclass(frozen=True, slots=True)
class _Measured:
    losses: list[tuple[float, int]]
    scores: tuple[float, ...]
    named: Named | Absent


class _Line:
    def __init__(
        self,
        settings: PathSettings,
        texts: tuple[str, ...],
        task: Task | None,
        items: tuple[Item, ...],
        ledger: Ledger,
        opener: Opener,
        interview: Interviewer,
        runner: Runner,
    ) -> None:
        self.settings, self.texts, self.task, self.items = settings, texts, task, items
        self.ledger, self.opener, self.interview, self.runner = ledger, opener, interview, runner

    def explored(self, files: Mapping[str, Mapping[str, str]], progress: Progress) -> PathExplored:
        settings = self.settings
        weights = [k / (settings.points - 1) for k in range(settings.points)]
        found = []
        for k, weight in enumerate(weights):
            progress("points", k, len(weights))
            found.append(self._point(weight))
        progress("points", len(weights), len(weights))
        curve = Curve(weights, [m.losses for m in found])
        points = tuple(
            PathPoint(w, curve.loss(k), curve.excess(k), self._task(m), *self._names(m.named))
            for k, (w, m) in enumerate(zip(weights, found, strict=True))
        )
        return PathExplored(
            tool=f"parentage {__version__}",
            first=settings.first,
            second=settings.second,
            files=files,
            settings=_asked(settings),
            libraries=libraries(),
            points=points,
            barrier=curve.barrier(),
            suspect=NO_SUSPECT if settings.suspect is None else self._place(settings.suspect, progress),
            limits=LIMITS,
        )

    def _point(self, weight: float) -> _Measured:
        ends = {0.0: self.settings.second, 1.0: self.settings.first}
        key = f"weight {weight!r}"
        if weight in ends:
            return self._measured(key, _there(ends[weight]))
        recipe = blend(self.settings.first, self.settings.second, weight)
        return self._measured(key, lambda: passing_merge(recipe, self.settings.out / "merge"))

    def _measured(self, key: str, folder: Callable[[], Any]) -> _Measured:
        """The merge is made, and a model loaded, only where something is not known yet."""
        with _Opened(folder, self.opener) as opened:
            losses = self._kept(f"{key}|losses", lambda: opened.model().losses(self.texts))
            scores: tuple[float, ...] = ()
            if self.task is not None:
                scores = ask(self.ledger, key, self.task, self.items, opened.model).scores
            named = self._named(key, opened)
        return _Measured(
            [(float(loss), int(count)) for loss, count in losses],
            scores,
            named,
        )

    def _kept(self, key: str, measure: Callable[[], Any]) -> Any:
        if key not in self.ledger:
            self.ledger.note(key, measure())
        return self.ledger[key]

    def _named(self, key: str, opened: _Opened) -> Named | Absent:
        if not self.settings.interview:
            return NO_INTERVIEW
        kept = f"{key}|names"
        if kept not in self.ledger:
            # Each answer is kept by the interview itself, which goes on from them.
            folder = self.settings.out / key.replace(" ", "-")
            found = self.interview(opened.only_folder(), folder)
            self.ledger.note(kept, to_plain(found))
        plain = self.ledger[kept]
        if "absent" in plain:
            return from_plain(Absent, plain)
        return from_plain(Named, plain)

    def _task(self, found: _Measured) -> Estimate | Absent:
        return NO_TASK if self.task is None else rate(found.scores)

    def _names(self, named: Named | Absent) -> tuple[Any, int]:
        return (named, 0) if isinstance(named, Absent) else (named.names, named.asked)

    def _place(self, suspect: str, progress: Progress) -> SuspectPlace:
        own = self._measured("suspect", _there(suspect))
        loss = Curve([0.0, 1.0], [own.losses, own.losses]).loss(0)
        ends = (self.settings.first, self.settings.second)
        with self.runner(suspect, *ends) as line:
            found = placed_among(line, ends, self._told, lambda k, n: progress("place", k, n))
        where = (found.weight, found.divergence)
        names = self._names(own.named)
        place = SuspectPlace(suspect, *where, loss, self._task(own), *names)
        return replace(place, nearest=found.nearest, off=found.off, how=found.how)

    def _told(self, key: str, ask: Callable[[], Told]) -> Told:
        return _told_of(self._kept(key, lambda: _plain(ask())))


def _plain(told: Told) -> list[Any]:
    return [to_plain(t) if isinstance(t, Absent) else [list(t.tokens), list(t.logprobs)] for t in told]


def _told_of(plain: list[Any]) -> Told:
    return [
        from_plain(Absent, t) if isinstance(t, dict) else TokenScores(tuple(t[0]), tuple(t[1]))
        for t in plain
    ]


def _there(folder: str) -> Callable[[], Any]:
    @contextmanager
    def given() -> Iterator[str]:
        yield folder

    return given


class _Opened:
    """A folder that is made, and a model that is loaded, when first asked for."""

    def __init__(self, folder: Callable[[], Any], opener: Opener) -> None:
        self._make, self._open = folder, opener
        self._making: Any = None
        self._folder = ""
        self._model: Model | None = None

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *told: object) -> None:
        self._let_go()
        if self._making is not None:
            self._making.__exit__(*told)

    def folder(self) -> str:
        if self._making is None:
            self._making = self._make()
            self._folder = self._making.__enter__()
        return self._folder

    def only_folder(self) -> str:
        """The same for one who loads the model: ours is let go first, so that never two are in memory."""
        self._let_go()
        return self.folder()

    def model(self) -> Model:
        if self._model is None:
            self._model = self._open(self.folder())
        return self._model

    def _let_go(self) -> None:
        if self._model is not None:
            self._model.close()
            self._model = None
