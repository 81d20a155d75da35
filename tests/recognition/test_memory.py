"""What a search keeps of its probe moves nothing that it finds, and is read once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from parentage.evidence.recognition import memory
from parentage.evidence.recognition.candidate import Candidate
from parentage.evidence.recognition.context import Context
from parentage.evidence.recognition.memory import Memory
from parentage.evidence.recognition.replaying import comes_out, misses_any, replay_tensor
from parentage.evidence.recognition.spherical import NUSLERP
from parentage.evidence.recognition.task_arithmetic import TASK_ARITHMETIC
from parentage.records.dtypes import DType
from parentage.records.recognition import Numbers
from tests.recognition.passes import context_of
from tests.recognition.worlds import Made, family, made
from tests.worlds.planted import Model

MODELS = family(5, size=2_000, count=2, apart=(0.01, 0.01, 0.01))
TASK = Made("task_arithmetic", "OAB", 0, ({}, {"weight": 0.6}, {"weight": 0.3}), {"lambda": 1.0})
ARC = Made("nuslerp", "AB", None, ({"weight": 0.6}, {"weight": 0.4}), {"nuslerp_flatten": False})


def _suspect(recipe: Made | None) -> Model:
    return MODELS["C"] if recipe is None else made(recipe, MODELS)


@pytest.fixture(scope="module", params=[TASK, ARC, None], ids=["task", "arc", "none"])
def context(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Context:
    """A merge by one of two rules, or none, as recognisers see it."""
    models = {n: MODELS[n] for n in "OAB"}
    return context_of(tmp_path_factory.mktemp("memory"), _suspect(request.param), models, "OAB")


def _candidates() -> Iterator[Candidate]:
    """The two recipes with right numbers, and with wrong ones from far to near."""
    for off in (0.0, 1e-5, 1e-3, 0.01, 0.2):
        rows = ({}, {"weight": 0.6 + off}, {"weight": 0.3})
        shared = {"lambda": 1.0, "normalize": False}
        for dtype in (DType.BF16, DType.F32):
            yield Candidate("task_arithmetic", (1, 2, 3), 0, Numbers(rows, shared), "mergekit-0.1.5", dtype)
            arc = Numbers(
                ({"weight": 0.6 + off}, {"weight": 0.4}),
                {"nuslerp_flatten": False, "nuslerp_row_wise": False},
            )
            yield Candidate("nuslerp", (2, 3), None, arc, "mergekit-0.1.5", dtype)


def test_a_few_elements_first_say_of_a_tensor_what_all_of_them_say(context: Context) -> None:
    said = set()
    for candidate in _candidates():
        for name in context.probes:
            counted = replay_tensor(candidate, name, context)
            assert counted is not None
            assert misses_any(candidate, name, context) is (counted.matches < counted.informative)
            whole = comes_out(candidate, name, context)
            assert whole == (counted if counted.equal == counted.elements else None)
            said.add(whole is not None)
    assert False in said


def test_counts_do_not_depend_on_what_is_kept(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [replay_tensor(c, n, context) for c in _candidates() for n in context.probes]
    monkeypatch.setattr(memory, "ROOM", 0)
    anew = replace(context, memory=Memory())
    assert kept == [replay_tensor(c, n, anew) for c in _candidates() for n in anew.probes]
    # Nor does anything that is not a probe's: it is read as it is needed.
    unprobed = replace(context, memory=Memory(), probes=())
    assert kept == [replay_tensor(c, n, unprobed) for c in _candidates() for n in context.probes]


def test_a_rule_finds_the_operands_as_they_were(context: Context) -> None:
    name = context.probes[0]
    operands = context.operands(name, (1, 2, 3), 0)
    assert operands is not None
    before = operands.read(0, operands.elements).copy()
    for candidate in _candidates():
        replay_tensor(candidate, name, context)
    assert (operands.read(0, operands.elements) == before).all()


def test_a_search_reads_each_tensor_of_its_probe_once(tmp_path: Path) -> None:
    context = context_of(tmp_path, MODELS["A"], MODELS, "OB")
    for checkpoint in context.checkpoints:
        checkpoint.bytes_read = 0
    tried = [*islice(NUSLERP.propose(context), 8), *islice(TASK_ARITHMETIC.propose(context), 8)]
    for candidate in tried:
        for name in context.probes:
            replay_tensor(candidate, name, context)
    size = sum(context.groups[n].suspect.elements * 2 for n in context.probes)
    assert [c.bytes_read for c in context.checkpoints] == [size] * 3
