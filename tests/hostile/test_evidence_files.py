"""Evidence and reports from elsewhere: whatever they hold, they are read, judged or refused by code."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parentage.records.evidence_checks as checks
from parentage import api
from parentage.errors import ParentageError
from parentage.records import json_files
from parentage.records.evidence_checks import read_evidence
from parentage.verdicts.judge import judge
from tests.cli.running import MERGEKIT, Run

Plain = dict[str, Any]
CHANGED_LATER = Path(__file__).resolve().parents[1] / "golden/saved/merge-trained.evidence.json"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of a real audit with three parents and a control."""
    path = tmp_path_factory.mktemp("evidence") / "evidence.json"
    found = api.audit(
        str(MERGEKIT / "linear.safetensors"),
        parents=[str(MERGEKIT / f"{n}.safetensors") for n in "ABO"],
        controls=[str(MERGEKIT / "linear-three.safetensors")],
        sample=512,
        workers=1,
    )
    api.save_evidence(found.evidence, path)
    return path


@pytest.fixture(scope="module")
def plain(good: Path) -> Plain:
    loaded: Plain = json.loads(good.read_text())
    return loaded


def written(path: Path, data: bytes | str | Mapping[str, Any]) -> Path:
    if isinstance(data, Mapping):
        data = json.dumps(data)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def both(run: Run, path: Path, code: str, exit_code: int = 2) -> str:
    """What ``verify`` and ``report`` say: the same error."""
    said = ""
    for command in ("verify", "report"):
        done = run(command, path)
        assert (done.error, done.code, done.out) == (code, exit_code, ""), done.err
        assert "  try:   " in done.err
        assert all(c.isprintable() or c == "\n" for c in done.err)
        said = done.err
    return said


TRUNCATIONS = (0, 1, 2, 100, 1000, -1, -2, -100)


@pytest.mark.parametrize("cut", TRUNCATIONS)
def test_a_file_cut_short_is_not_json(cut: int, run: Run, good: Path, tmp_path: Path) -> None:
    raw = good.read_bytes()
    # The last byte is the line feed after the object.
    end = cut - 1 if cut < 0 else cut
    both(run, written(tmp_path / "e.json", raw[:end]), "file-not-json")


@pytest.mark.parametrize(
    "raw",
    [
        b"[]", b"null", b"1", b'"x"', b"\xff\xfe", b"{} {}", b"{'a': 1}", b"\0", b"{\"a\": NaN}",
        b'{"a": Infinity}', b'{"a": -Infinity}', b'{"a": 1, "a": 2}', b'{"a": ' + b"9" * 5000 + b"}",
        b"[" * 200_000, b'{"a":' * 200_000, b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_a_json_object_of_distinct_finite_values_is_refused(
    raw: bytes, run: Run, tmp_path: Path
) -> None:
    both(run, written(tmp_path / "e.json", raw), "file-not-json")


def test_a_key_that_occurs_twice_deep_inside_is_refused(run: Run, good: Path, tmp_path: Path) -> None:
    text = good.read_text().replace('"examined":', '"examined":1,"examined":', 1)
    both(run, written(tmp_path / "e.json", text), "file-not-json")


@pytest.mark.parametrize("schema", [None, 1, "", "parentage.inspection", ["parentage.evidence"], "\x1b[2J"])
def test_another_schema_is_refused(schema: object, run: Run, plain: Plain, tmp_path: Path) -> None:
    both(run, written(tmp_path / "e.json", plain | {"schema": schema}), "file-wrong-schema")


def test_a_file_without_schema_is_refused(run: Run, plain: Plain, tmp_path: Path) -> None:
    less = {k: v for k, v in plain.items() if k != "schema"}
    both(run, written(tmp_path / "e.json", less), "file-wrong-schema")


def test_a_report_is_no_evidence(run: Run, good: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.json"
    assert run("report", good, "--json", report).code == 0
    done = run("verify", report)
    assert (done.error, done.code) == ("file-wrong-schema", 2)
    assert run("report", report).code == 0


@pytest.mark.parametrize(
    ("version", "code"),
    [(2, "file-newer-version"), (10**9, "file-newer-version"), (0, "file-wrong-schema"),
     (-1, "file-wrong-schema"), ("1", "file-wrong-schema"), (True, "file-wrong-schema"),
     (1.5, "file-wrong-schema"), (None, "file-wrong-schema")],
)  # fmt: skip
def test_another_version_is_refused(
    version: object, code: str, run: Run, plain: Plain, tmp_path: Path
) -> None:
    both(run, written(tmp_path / "e.json", plain | {"version": version}), code)


def test_a_file_larger_than_any_of_ours_is_refused(
    run: Run, good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = good.stat().st_size
    for module in (json_files.load_json, json_files.loads):
        monkeypatch.setitem(module.__kwdefaults__, "max_bytes", size - 1)
    both(run, good, "file-too-large")


def edited(plain: Plain, edit: Callable[[Plain], object]) -> Plain:
    changed = copy.deepcopy(plain)
    edit(changed)
    return changed


def _set(path: str, value: Any) -> Callable[[Plain], None]:
    *parents, last = path.split("/")

    def edit(plain: Any) -> None:
        for key in parents:
            plain = plain[int(key)] if key.isdigit() else plain[key]
        plain[int(last) if last.isdigit() else last] = value

    return edit


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("tensors", {}), ("tensors", None), ("models", "x"), ("models/0/role", "king"),
        ("tensors/0/examined", "many"), ("tensors/0/examined", 1.5), ("tensors/0/examined", True),
        ("tensors/0/examined", 10**30), ("tensors/0/spread", 10**400), ("tensors/0/spread", True),
        ("coverage/elements", -(2**70)), ("asked", []), ("asked/deep", _nested(200)),
        ("used/sample", 10**40), ("used/full", {"a": _nested(100)}), ("tensors/0/gram", [[[1]]]),
        ("models/0/shards/0/checksums", {"a": 1}), ("models/0/shards/0/sha256", 5),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_or_size_is_refused_at_its_place(
    path: str, value: Any, run: Run, plain: Plain, tmp_path: Path
) -> None:
    said = both(run, written(tmp_path / "e.json", edited(plain, _set(path, value))), "record-shape")
    assert f"$.{path.split('/', maxsplit=1)[0]}" in said


def test_a_float_too_large_for_any_number_is_refused(run: Run, good: Path, tmp_path: Path) -> None:
    text = good.read_text().replace('"spread":', '"spread":1e999,"spare":', 1)
    assert "spread" in both(run, written(tmp_path / "e.json", text), "record-shape")


@pytest.mark.parametrize("field", ["tensors", "models", "used", "coverage", "curve_grid", "replays"])
def test_a_missing_field_is_named(field: str, run: Run, plain: Plain, tmp_path: Path) -> None:
    less = {k: v for k, v in plain.items() if k != field}
    assert f"$.{field}" in both(run, written(tmp_path / "e.json", less), "record-shape")


def _again(key: str) -> Callable[[Plain], None]:
    return lambda plain: plain[key].append(copy.deepcopy(plain[key][-1]))


@pytest.mark.parametrize(
    ("edit", "where"),
    [
        (_set("models", []), "$.models"),
        (_set("models/0/role", "parent"), "$.models"),
        (_set("models/1/role", "suspect"), "$.models"),
        (_set("models/1/role", "shuffled-control"), "$.models"),
        (_set("models/1/name", "linear.safetensors"), "$.models"),
        (_again("tensors"), "$.tensors"),
        (_set("tensors/3/dtypes", []), "dtypes"),
        (_set("tensors/3/equal", [1]), "equal"),
        (_set("tensors/3/gram", [[1.0]]), "gram"),
        (_set("tensors/3/present", [0, 99]), "present"),
        (_set("tensors/3/present", [-1]), "present"),
        (_set("tensors/3/examined", 10**9), "$.tensors"),
        (_set("tensors/3/finite", -1), "$.tensors"),
        (_set("tensors/3/spread", -1.0), "spread"),
        (_set("tensors/3/mixtures/0/first", 7), "mixtures[0]"),
        (_set("tensors/3/mixtures/0/count", 10**9), "mixtures[0]"),
        (_set("sweeps/0/curve", [1, 2]), "$.sweeps[0].curve"),
        (_set("sweeps/0/second", 9), "$.sweeps[0]"),
        (_set("replays/0/weights", [1.0]), "$.replays[0]"),
        (_set("replays/0/parents", [1, 99]), "$.replays[0]"),
        (_set("replays/0/matches", 10**12), "$.replays[0]"),
        (_set("coverage/tensors_examined", 1), "$.coverage"),
        (_set("used/root", 99), "$.used.root"),
        (_set("used/root", 0), "$.used.root"),
        (_set("used/root", "base"), "$.used.root"),
        (_set("coverage/elements_examined", 10**12), "$.coverage"),
    ],
)  # fmt: skip
def test_evidence_that_contradicts_itself_is_refused_at_its_place(
    edit: Callable[[Plain], None], where: str, run: Run, plain: Plain, tmp_path: Path
) -> None:
    said = both(run, written(tmp_path / "e.json", edited(plain, edit)), "evidence-inconsistent")
    assert where in said


def test_more_models_than_any_audit_has_are_refused(run: Run, plain: Plain, tmp_path: Path) -> None:
    def crowd(changed: Plain) -> None:
        one = changed["models"][1]
        changed["models"] += [one | {"name": f"m{k}"} for k in range(checks.MOST_MODELS)]

    both(run, written(tmp_path / "e.json", edited(plain, crowd)), "evidence-inconsistent")


@pytest.mark.parametrize(
    ("key", "value"),
    [("sample", -1), ("sample", 0), ("sample", 2**40), ("sample", "256"), ("sample", True),
     ("sample", 256.0), ("sample", None), ("seed", None), ("seed", 1.5), ("full", 1), ("full", "no"),
     ("digests", None)],
)  # fmt: skip
def test_an_account_of_the_measuring_that_makes_no_sense_is_refused(
    key: str, value: object, run: Run, plain: Plain, tmp_path: Path
) -> None:
    done = run("verify", written(tmp_path / "e.json", edited(plain, _set(f"used/{key}", value))))
    assert (done.error, done.code, done.out) == ("evidence-used", 2, "")
    assert "$.used" in done.err


def test_an_empty_account_of_the_measuring_is_refused(run: Run, plain: Plain, tmp_path: Path) -> None:
    done = run("verify", written(tmp_path / "e.json", plain | {"used": {}}))
    assert (done.error, done.code) == ("evidence-used", 2)


def test_evidence_cannot_make_us_read_devices_or_run_code(run: Run, plain: Plain, tmp_path: Path) -> None:
    pickled = tmp_path / "x.pt"
    pickled.write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    for locator, code in (("/dev/zero", "input-not-file"), (str(pickled), "format-not-read")):
        path = written(tmp_path / "e.json", edited(plain, _set("models/1/locator", locator)))
        done = run("verify", path)
        assert (done.error, done.code) == (code, 3)


HOSTILE = "\x1b[2J\u202e<script>[bold]\n"


def test_hostile_text_in_evidence_is_shown_by_its_escapes(run: Run, plain: Plain, tmp_path: Path) -> None:
    def poison(changed: Plain) -> None:
        changed["notes"] = [HOSTILE]
        changed["asked"] = {HOSTILE: HOSTILE}
        changed["tool"] = {"name": HOSTILE, "version": HOSTILE}
        changed["models"][1]["declared"] = [HOSTILE]
        changed["models"][1]["oddities"] = [HOSTILE]
        changed["coverage"]["not_examined"] = [{"tensor": HOSTILE, "reason": HOSTILE}]
        changed["tensors"][0][HOSTILE] = HOSTILE
        for model in changed["models"]:
            model["name"] += HOSTILE

    path = written(tmp_path / "e.json", edited(plain, poison))
    html = tmp_path / "r.html"
    said = [run("verify", path, "--limit", "0"), run("report", path), run("report", path, "--html", html)]
    assert [done.code for done in said] == [5, 0, 0]
    for text in (*(done.out + done.err for done in said), html.read_text()):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert "<script>[bold]" not in html.read_text()


@pytest.fixture
def changed_later() -> Plain:
    """The saved evidence of a merge that was trained afterwards."""
    return dict(json.loads(CHANGED_LATER.read_text()))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all scalars, in long lists of the first, the middle and the last entry alone."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        few = range(len(value)) if len(value) < 30 else (0, len(value) // 2, len(value) - 1)
        for k in few:
            yield from leaves(value[k], (*path, k))
    else:
        yield path


VALUES = st.sampled_from(
    [0, 1, -1, 2**40, 0.0, -0.0, 1.0, -1.0, 1e300, -1e300, 1e-300, "", "x", None, True, [], {},
     {"absent": "unknown"}]
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_evidence_changed_anywhere_is_judged_or_refused_by_code(plain: Plain, data: st.DataObject) -> None:
    """Judging divides, indexes and takes roots: no number in a file may break it."""
    places = list(leaves(plain))
    changed = copy.deepcopy(plain)
    for _ in range(data.draw(st.integers(1, 3))):
        *parents, last = places[data.draw(st.integers(0, len(places) - 1))]
        holder: Any = changed
        try:
            for key in parents:
                holder = holder[key]
            holder[last] = data.draw(VALUES)
        except (KeyError, IndexError, TypeError):
            continue
    try:
        api.render_json(judge(read_evidence(changed)))
    except ParentageError as error:
        refused = error
    else:
        return
    assert (refused.exit_code, bool(refused.where)) == (2, True)
    assert refused.code in ("record-shape", "evidence-inconsistent")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("gram",), -1.0),
        (("square",), -1.0),
        (("spread",), 1e300),
        (("mixtures", 0, "comparison", "scale"), -1.0),
        (("mixtures", 0, "comparison", "change_rms"), -1.0),
        (("mixtures", 0, "comparison", "change_rms_error"), -1.0),
    ],
)
def test_sizes_below_zero_or_beyond_all_numbers_are_refused(
    place: tuple[Any, ...], value: float, changed_later: Plain
) -> None:
    tensor = next(t for t in changed_later["tensors"] if "delta_ll" in t["mixtures"][0]["comparison"])
    if place == ("gram",):
        tensor["gram"][0][0] = value
    else:
        holder = tensor
        for key in place[:-1]:
            holder = holder[key]
        assert place[-1] in holder
        holder[place[-1]] = value
    with pytest.raises(ParentageError) as caught:
        read_evidence(changed_later)
    assert (caught.value.code, caught.value.exit_code) == ("evidence-inconsistent", 2)


def test_experts_off_the_replay_must_have_been_replayed(changed_later: Plain) -> None:
    changed_later["replays"][0]["tensors"][0]["experts_off"] = [3]
    with pytest.raises(ParentageError) as caught:
        read_evidence(changed_later)
    assert caught.value.code == "evidence-inconsistent"
    assert "experts_off" in caught.value.where
