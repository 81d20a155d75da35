"""What a saved recognition may not say: models that are not there, counts that cannot be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from parentage.errors import EvidenceError
from parentage.records.absence import Absent
from parentage.records.finding_shapes import check_findings
from parentage.records.recognition import Course, MethodReplay, MethodTensor, Recognition, RivalReplay

__all__ = ["check_recognition"]

Fail = Callable[[str, str], EvidenceError]
# Tensors of the largest models are some 3,000; a saved evidence lists each once a replay.
MOST_REPLAYS = 300


def check_recognition(found: Recognition, models: int, fail: Fail) -> None:
    """Raises what ``fail`` (message, place) makes, ``evidence-inconsistent``."""
    where = "$.recognition"
    if len(found.replays) > MOST_REPLAYS or len(found.parts) > MOST_REPLAYS or found.tried < 0:
        raise fail("more replays than models", where)
    subjects = [r.subject for r in found.replays]
    if len(set(subjects)) != len(subjects):
        raise fail("a model is replayed twice", f"{where}.replays")
    for k, replay in enumerate(found.replays):
        _check_replay(replay, models, f"{where}.replays[{k}]", fail)
    _check_parts(found.parts, models, fail)
    for k, rival in enumerate(found.rivals):
        _check_rival(rival, models, f"{where}.rivals[{k}]", fail)
    for k, finding in enumerate(found.findings):
        _check_models(finding.models, models, f"{where}.findings[{k}]", fail)
    check_findings(found.findings, models, fail)


def _check_parts(parts: Sequence[MethodReplay], models: int, fail: Fail) -> None:
    seen = set[str]()
    for k, part in enumerate(parts):
        where = f"$.recognition.parts[{k}]"
        _check_replay(part, models, where, fail)
        own = {t.name for t in part.tensors}
        if own & seen:
            raise fail(f"{min(own & seen)} belongs to two parts", where)
        seen |= own
        if not isinstance(part.where.layers, Absent):
            _ordered(part.where.layers, f"{where}.where", fail)


def _check_models(indices: Sequence[int], models: int, where: str, fail: Fail) -> None:
    for index in indices:
        if not 0 <= index < models:
            raise fail(f"{index} is the number of no model here", where)


def _ordered(counts: Sequence[int], where: str, fail: Fail) -> None:
    if any(b < a for a, b in zip((0, *counts), counts, strict=False)):
        raise fail(f"counts that cannot be: {', '.join(map(str, counts))}", where)


def _check_rival(rival: RivalReplay, models: int, where: str, fail: Fail) -> None:
    _check_models(rival.operands, models, where, fail)
    _ordered((rival.matches, rival.informative), where, fail)


def _check_replay(replay: MethodReplay, models: int, where: str, fail: Fail) -> None:
    _check_models((replay.subject, *replay.operands), models, where, fail)
    count = len(replay.operands)
    if not count or (not isinstance(replay.base, Absent) and not 0 <= replay.base < count):
        raise fail("a base that is no operand", f"{where}.base")
    if len(replay.numbers.each) not in (0, count):
        raise fail("numbers of another count of operands", f"{where}.numbers")
    if not 0 < replay.exact <= 1:
        raise fail("a share outside 0 to 1", f"{where}.exact")
    _ordered((replay.matches + replay.adjacent, replay.informative), where, fail)
    for row in replay.ranges:
        if not row.low <= row.value <= row.high:
            raise fail("a range that does not hold its value", f"{where}.ranges")
        if not isinstance(row.operand, Absent) and not 0 <= row.operand < count:
            raise fail("a range of no operand", f"{where}.ranges")
    for course in replay.courses:
        _check_course(course, count, f"{where}.courses", fail)
    for rival in replay.alike:
        _check_rival(rival, models, f"{where}.alike", fail)
    names = [t.name for t in replay.tensors]
    if len(set(names)) != len(names):
        raise fail("a tensor is listed twice", f"{where}.tensors")
    for tensor in replay.tensors:
        _check_tensor(tensor, count, f"{where}.tensors[{tensor.name}]", fail)
    total = (
        sum(t.informative for t in replay.tensors),
        sum(t.matches for t in replay.tensors),
        sum(t.adjacent for t in replay.tensors),
    )
    if replay.tensors and total != (replay.informative, replay.matches, replay.adjacent):
        raise fail("another total than its tensors'", where)


def _check_course(course: Course, operands: int, where: str, fail: Fail) -> None:
    if not isinstance(course.operand, Absent) and not 0 <= course.operand < operands:
        raise fail("a course of no operand", where)
    for clause in course.clauses:
        if not len(clause.values) == len(clause.low) == len(clause.high) > 0:
            raise fail("a course whose values and ranges are not as many", where)
        for value, low, high in zip(clause.values, clause.low, clause.high, strict=True):
            if not low <= value <= high:
                raise fail("a course's range that does not hold its value", where)


def _check_tensor(tensor: MethodTensor, operands: int, where: str, fail: Fail) -> None:
    _ordered((tensor.matches + tensor.adjacent, tensor.informative, tensor.elements), where, fail)
    _ordered((tensor.matches, tensor.equal, tensor.elements), where, fail)
    if len(tensor.copies) != operands:
        raise fail(f"{len(tensor.copies)} entries where {operands} belong", f"{where}.copies")
    for count in tensor.copies:
        _ordered((count, tensor.informative), f"{where}.copies", fail)
