"""Measure a stored evidence again from its pinned inputs, and name every value that does not follow."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from parentage import __version__
from parentage.checkpoints.remote.costs import Cost
from parentage.errors import EvidenceError, ParentageError
from parentage.evidence.inputs.pinned_files import FileComparison, compare_files
from parentage.evidence.inputs.pinning import pin_models
from parentage.evidence.measure import AuditInputs, Options, Progress, measure
from parentage.evidence.sampling.positions import BLOCK
from parentage.evidence.sampling.reading_plan import ReadingBudget
from parentage.records.absence import Absent
from parentage.records.codec import to_plain
from parentage.records.evidence import Evidence, ModelPin, ModelRole
from parentage.records.verification import ValueDifference, Verification

__all__ = [
    "ABSOLUTE",
    "MOST_SAMPLED",
    "RELATIVE",
    "compare_evidence",
    "rederive",
    "stored_options",
    "value_differences",
]

# exp and log differ between processors in the last bits: derived floats agree to this, counts and
# digests exactly.
RELATIVE = 1e-9
# Where a number is the small difference of large ones, its last digits are theirs: correlations and
# cosines are sums of numbers of size one.
ABSOLUTE = 1e-12
# These have the size of the weights, which may be far below one: the largest of them is the measure.
_OF_THE_WEIGHTS = frozenset({"gram", "spread", "scale", "free_scale"})
# What was asked, which version measured, and where files lay do not follow from the inputs; weight
# files are compared apart.
_NOT_DERIVED = frozenset({"schema", "version", "tool", "asked", "notes"})
_NOT_DERIVED_OF_A_MODEL = frozenset({"locator", "shards"})
# Entries of a list are called by these fields where they have one, so that a reader finds them.
_LABELS = ("name", "tensor", "arithmetic")

# Measured on three MiniLM models and a control, two threads: 250 MB at 65,536 elements a tensor, 538 MB
# at a million, 1.27 GB at four. Who wants more reads everything (--full), in bounded memory.
MOST_SAMPLED = 2**20
# More than any budget for a look beside the sample.
MOST_LOOKED = 2**40
_NOTHING = Absent("no such value")


def stored_options(used: Mapping[str, Any], workers: int) -> Options:
    """How an evidence says that it was measured; ``EvidenceError`` (``evidence-used``) when it lies."""
    sample, seed, run = used.get("sample"), used.get("seed"), used.get("run", BLOCK)
    whole = all(isinstance(v, int) and not isinstance(v, bool) for v in (sample, seed, run))
    full, digests = used.get("full"), used.get("digests")
    if not (whole and isinstance(full, bool) and isinstance(digests, bool)):
        raise _lie("the evidence does not say how it was measured", "$.used")
    assert isinstance(sample, int)
    assert isinstance(seed, int)
    assert isinstance(run, int)
    if not 1 <= sample <= MOST_SAMPLED:
        message = (
            f"a sample of {sample:,} elements a tensor; between 1 and {MOST_SAMPLED:,} can be measured"
        )
        raise _lie(message, "$.used.sample")
    if not 1 <= run <= MOST_SAMPLED:
        raise _lie(f"runs of {run:,} elements; between 1 and {MOST_SAMPLED:,} can be read", "$.used.run")
    budget, left_out = _stored_plan(used)
    further, reached = _stored_stages(used, sample)
    look = _stored_look(used)
    options = Options(sample, seed, full, digests, workers, run, budget, left_out, further, reached)
    return replace(
        options,
        look=look is not None,
        look_limit=look,
        look_layers=look is not None and used["look"].get("layers") is True,
        look_turned=look is not None and used["look"].get("turned") is True,
        whole=_stored_whole(used),
        parts=_stored_names(used.get("parts", ())),
    )


def _stored_look(used: Mapping[str, Any]) -> Cost | None:
    """What the look for other orders was allowed; None where an earlier version took none."""
    if "look" not in used:
        return None
    look = used["look"]
    limits: list[Any] = [look.get(k) for k in ("bytes", "requests")] if isinstance(look, Mapping) else []
    if not limits or not all(_allowed(n) for n in limits):
        raise _lie("the evidence does not say what its look for orders was allowed", "$.used.look")
    return Cost(*limits)


def _stored_whole(used: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The tensors that were read whole for merge methods; None where the evidence does not say."""
    if "look" not in used:
        return None
    return _stored_names(used.get("whole"), "whole")


def _stored_names(names: Any, where: str = "parts") -> tuple[str, ...]:
    listed = isinstance(names, Sequence) and not isinstance(names, str)
    if not listed or not all(isinstance(n, str) for n in names or ()):
        raise _lie("the evidence does not say which tensors were read for methods", f"$.used.{where}")
    return tuple(names or ())


def _allowed(limit: Any) -> bool:
    return type(limit) is int and 0 <= limit <= MOST_LOOKED


def _stored_stages(
    used: Mapping[str, Any], sample: int
) -> tuple[tuple[int, ...], tuple[tuple[str, int], ...] | None]:
    """Later stages, and how many of them each component was read in."""
    if "stages" not in used:
        return (), None
    stages, reached = used["stages"], used.get("reached")
    listed = isinstance(stages, Sequence) and not isinstance(stages, str)
    numbers = [sample, *([] if not listed else stages[1:])]
    growing = all(
        isinstance(n, int) and not isinstance(n, bool) and m < n <= MOST_SAMPLED
        for m, n in pairwise(numbers)
    )
    if not listed or not growing or len(numbers) != len(stages) or stages[0] != sample or len(stages) > 8:
        raise _lie("the evidence does not say in which stages it was read", "$.used.stages")
    counts = range(2, len(numbers) + 1)
    if not isinstance(reached, Mapping) or any(
        type(n) is not int or n not in counts for n in reached.values()
    ):
        raise _lie("the evidence does not say how far each component was read", "$.used.reached")
    return tuple(numbers[1:]), tuple(sorted((str(c), n - 1) for c, n in reached.items()))


def _stored_plan(used: Mapping[str, Any]) -> tuple[ReadingBudget | None, tuple[str, ...] | None]:
    """The budget that was given, and which tensors it left out."""
    if "budget" not in used:
        return None, None
    budget, left_out = used["budget"], used.get("left_out")
    limits = [budget.get(k) for k in ("bytes", "requests")] if isinstance(budget, Mapping) else [-1]
    known = all(n is None or (isinstance(n, int) and not isinstance(n, bool) and n >= 0) for n in limits)
    named = isinstance(left_out, Sequence) and all(isinstance(name, str) for name in left_out)
    if not known or not named or isinstance(left_out, str):
        raise _lie("the evidence does not say what its budget left out", "$.used.budget")
    assert isinstance(left_out, Sequence)
    return ReadingBudget(*limits), tuple(left_out)


def _lie(message: str, where: str) -> EvidenceError:
    return EvidenceError(
        message,
        code="evidence-used",
        where=where,
        hint="the file was changed after parentage wrote it: fetch it again",
    )


def rederive(
    stored: Evidence,
    plain: Mapping[str, Any],
    inputs: AuditInputs,
    options: Options,
    progress: Progress,
) -> Verification:
    """Measure ``inputs`` as ``stored`` says and compare with ``plain``, the same evidence as it was read.

    Where the inputs can no longer be measured because they changed, the changed files are named.
    """
    _as_they_were(stored, inputs)
    try:
        derived = measure(inputs, options, stored.asked, stored.notes, progress)
    except ParentageError as error:
        named = [(m.name, m.role, m.checkpoint) for m in inputs.models]
        pins = pin_models(named, digests=options.digests, workers=options.workers, progress=progress)
        files = compare_files(plain["models"], to_plain(pins))
        if not files.inputs:
            raise
        return _verification(stored, pins, files, (), 0, f"{error.message} ({error.code})")
    return compare_evidence(stored, plain, derived)


def _as_they_were(stored: Evidence, inputs: AuditInputs) -> None:
    """A model that was read over a network and lies here now is looked at no more closely than it was."""
    names = stored.used.get("by_range", ())
    for model in inputs.models:
        model.checkpoint.as_remote = isinstance(names, Sequence) and model.name in names


def compare_evidence(stored: Evidence, plain: Mapping[str, Any], derived: Evidence) -> Verification:
    """Compare ``stored`` (``plain``: as it was read, with what this version does not know) with
    ``derived``, measured anew."""
    anew = to_plain(derived)
    files = compare_files(plain["models"], anew["models"])
    walk = _Walk()
    values = tuple(walk.compare("", _filled(plain, to_plain(stored)), anew, ABSOLUTE))
    return _verification(stored, derived.models, files, values, walk.compared, None)


def _filled(plain: Any, loaded: Any) -> Any:
    """What was read, with fields that earlier versions did not write as they are understood here."""
    if _is_table(plain) and _is_table(loaded):
        return {**loaded, **{k: _filled(v, loaded.get(k, _NOTHING)) for k, v in plain.items()}}
    if _is_list(plain) and _is_list(loaded) and len(plain) == len(loaded):
        return [_filled(v, known) for v, known in zip(plain, loaded, strict=True)]
    return plain


def _verification(
    stored: Evidence,
    pins: Sequence[ModelPin],
    files: FileComparison,
    values: tuple[ValueDifference, ...],
    compared: int,
    unmeasured: str | None,
) -> Verification:
    return Verification(
        measured_by=dict(stored.tool),
        derived_by={"name": "parentage", "version": __version__},
        files=files.files,
        compared=files.compared + compared,
        inputs=tuple(files.inputs),
        values=(*files.values, *values),
        unmeasured=Absent("the inputs were measured") if unmeasured is None else unmeasured,
        limits=tuple(_limits(stored, pins)),
    )


def _limits(stored: Evidence, pins: Sequence[ModelPin]) -> Iterator[str]:
    yield "what was asked for, the notes and the places of the files are not re-derived"
    if not all(isinstance(s.sha256, str) for m in stored.models for s in m.shards):
        yield (
            "the evidence pins no digests (--no-digests): that the examined elements agree does not "
            "say that the files are the same"
        )
    yield (
        "cards and configs are not pinned by digest: when a model's declared sources or oddities "
        "differ, the files beside its weights have changed"
    )
    for was, now in zip(stored.models, pins, strict=False):
        confirmed = isinstance(was.revision, Absent) or was.revision == now.revision
        if not confirmed and was.role is not ModelRole.SHUFFLED:
            yield f"revision {was.revision} of {was.name} cannot be told from where it lies now"


def value_differences(stored: Any, derived: Any) -> tuple[ValueDifference, ...]:
    """Where two plain values differ: counts and words exactly, floats to ``RELATIVE``."""
    return tuple(_Walk().compare("$", stored, derived, ABSOLUTE))


class _Walk:
    """Through both evidences at once, counting the values that are compared."""

    def __init__(self) -> None:
        self.compared = 0

    def compare(self, path: str, stored: Any, derived: Any, absolute: float) -> Iterator[ValueDifference]:
        if _is_table(stored) and _is_table(derived):
            for key in dict.fromkeys([*stored, *derived]):
                if key in _skipped(path, derived):
                    continue
                where = f"{path}.{key}" if path else str(key)
                one, other = stored.get(key, _NOTHING), derived.get(key, _NOTHING)
                scaled = key in _OF_THE_WEIGHTS
                yield from self.compare(where, one, other, _largest(other) if scaled else absolute)
        elif _is_list(stored) and _is_list(derived):
            for k, label in enumerate(_labels(max(stored, derived, key=len))):
                one = stored[k] if k < len(stored) else _NOTHING
                other = derived[k] if k < len(derived) else _NOTHING
                yield from self.compare(f"{path}[{label}]", one, other, absolute)
        else:
            self.compared += 1
            if not _agree(stored, derived, absolute):
                yield ValueDifference(path, _summary(stored), _summary(derived))


def _largest(values: Any) -> float:
    if _is_list(values):
        return max((_largest(v) for v in values), default=0.0)
    return ABSOLUTE * abs(values) if isinstance(values, int | float) else 0.0


def _is_table(value: Any) -> bool:
    # An absence is one value, whatever stands on the other side.
    return isinstance(value, Mapping) and set(value) != {"absent"}


def _skipped(path: str, derived: Mapping[str, Any]) -> frozenset[str]:
    if not path:
        return _NOT_DERIVED
    if not (path.startswith("models[") and "locator" in derived):
        return frozenset()
    # A folder that is no snapshot of the hub has no revision: its bytes are compared instead.
    unknown = not isinstance(derived["revision"], str)
    return _NOT_DERIVED_OF_A_MODEL | ({"revision"} if unknown else frozenset())


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _labels(entries: Sequence[Any]) -> Iterator[str]:
    own = [_own_label(entry) for entry in entries]
    repeated = Counter(own)
    for k, label in enumerate(own):
        if label is None:
            yield str(k)
        else:
            yield label if repeated[label] == 1 else f"{label}#{k}"


def _own_label(entry: Any) -> str | None:
    if isinstance(entry, Mapping):
        for key in _LABELS:
            if isinstance(entry.get(key), str):
                return str(entry[key])
    return None


def _agree(stored: Any, derived: Any, absolute: float) -> bool:
    if isinstance(stored, bool) or isinstance(derived, bool):
        return stored is derived
    if isinstance(stored, float) or isinstance(derived, float):
        numbers = isinstance(stored, int | float) and isinstance(derived, int | float)
        return numbers and math.isclose(stored, derived, rel_tol=RELATIVE, abs_tol=absolute)
    return bool(stored == derived)


def _summary(value: Any) -> Any:
    """A value as a list of differences can hold it: what is nested is told by its size."""
    if isinstance(value, Mapping) and set(value) == {"absent"}:
        return Absent(str(value["absent"]))
    if isinstance(value, Mapping):
        return f"an object of {len(value):,} entries"
    if _is_list(value):
        return f"a list of {len(value):,} entries"
    return value
