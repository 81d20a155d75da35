"""Every lie of a PyTorch file is refused by its own code, cheaply, and nothing in it is ever executed."""

from __future__ import annotations

import os
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parentage.checkpoints.formats.torch_header as header_module
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import HeaderError, ParentageError
from tests.hostile.torch_files import GOOD, LIES, TorchLie, archive, pickled, state, tensor
from tests.worlds.fixtures import FOLDER as FIXTURES


def refusal(path: Path) -> ParentageError:
    with pytest.raises(ParentageError) as caught:
        open_checkpoint(path)
    return caught.value


def test_a_good_archive_opens(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(GOOD)
    with open_checkpoint(path) as checkpoint:
        assert {n: t.shape for n, t in checkpoint.tensors.items()} == {"a": (2, 3)}


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.name)
def test_each_lie_is_refused_by_its_own_code_and_costs_little(lie: TorchLie, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(lie.make())
    # Tracing takes tens of seconds where millions of objects are made, up to the bounds on their number.
    if not lie.code.endswith("too-large"):
        tracemalloc.start()
    error = refusal(path)
    peak = tracemalloc.get_traced_memory()[1]  # 0 where nothing is traced
    tracemalloc.stop()
    assert error.code == lie.code
    assert isinstance(error, HeaderError)
    assert str(path) in error.where
    assert error.hint
    assert lie.names in error.message
    assert len(str(error)) < 1000
    assert str(error).isprintable()
    assert peak < 20_000_000


def test_every_code_of_the_reader_has_a_lie() -> None:
    folder = Path(header_module.__file__).parent
    source = "".join(p.read_text() for p in folder.glob("torch_*.py"))
    assert set(re.findall(r'"(torch-[a-z-]+)"', source)) == {lie.code for lie in LIES}


def test_nothing_that_a_pickle_calls_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran: list[str] = []
    monkeypatch.setattr(os, "system", ran.append)
    call = b"cos\nsystem\n(X\x0b\x00\x00\x00touch ownedtR"
    Path("model.pt").write_bytes(archive(pickled(call)))
    assert refusal(Path("model.pt")).code == "torch-pickle-global"
    assert not ran
    assert os.listdir() == ["model.pt"]


def test_a_refused_class_hides_no_tensor_in_front_of_it(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(archive(state(a=tensor(), b=b"cargparse\nNamespace\n")))
    assert "argparse.Namespace" in refusal(path).message


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "model.pt"


SEEDS = (GOOD, *((FIXTURES / "torch" / f"{n}.pt").read_bytes() for n in ("module", "views", "dtypes")))
EDITS = st.lists(
    st.tuples(st.integers(0, 2**16), st.binary(min_size=1, max_size=8), st.sampled_from("rid")), max_size=5
)


def _opened(path: Path, raw: bytes) -> None:
    """Opens and is read, or is refused by an error of our own."""
    path.write_bytes(raw)
    told = ""
    try:
        with open_checkpoint(path) as checkpoint:
            for name, ref in checkpoint.tensors.items():
                count = min(ref.elements, 1000)
                assert checkpoint.read(name, 0, count).size == count
    except ParentageError as error:
        told = str(error)
    assert told.isprintable()
    assert len(told) < 2000


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.sampled_from(SEEDS), edits=EDITS, cut=st.none() | st.integers(0, 6000))
def test_a_mutated_archive_opens_or_is_refused(
    fuzzed: Path, seed: bytes, edits: list[tuple[int, bytes, str]], cut: int | None
) -> None:
    raw = bytearray(seed)
    for where, new, kind in edits:
        at = where % max(1, len(raw))
        raw[at : at + (len(new) if kind == "r" else 0)] = b"" if kind == "d" else new
        if kind == "d":
            del raw[at : at + len(new)]
    _opened(fuzzed, bytes(raw[:cut]))


OPCODES = st.sampled_from(
    [bytes([c]) for c in b"().}]NKMJXqhrjusaeRQbct0123\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x8e\x93\x94\x95"]
    + [b"ctorch\nFloatStorage\n", b"ctorch._utils\n_rebuild_tensor_v2\n", b"ccollections\nOrderedDict\n"]
    + [b"X\x01\x00\x00\x00a", b"K\x02", tensor(), b"q\x00", b"h\x00", b"ctorch\nSize\n"]
)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=st.lists(OPCODES | st.binary(max_size=3), max_size=40))
def test_a_pickle_of_random_opcodes_opens_or_is_refused(fuzzed: Path, parts: list[bytes]) -> None:
    _opened(fuzzed, archive(pickled(b"".join(parts))))
