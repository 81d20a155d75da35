"""Records survive the trip through JSON, and damaged ones are refused by name."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from parentage.errors import EvidenceError, OutputError
from parentage.records.absence import Absent
from parentage.records.codec import MAX_DEPTH, from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    value: float | Absent
    names: tuple[str, ...]


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    count: int
    table: dict[str, int]
    note: str = "default"


EXAMPLE = Outer((Inner(1.5, ("a",)), Inner(Absent("not read"), ())), 3, {"x": 1})


def test_a_record_survives_the_trip_through_json() -> None:
    assert from_plain(Outer, json.loads(json.dumps(to_plain(EXAMPLE)))) == EXAMPLE


def test_what_is_unknown_is_written_with_its_reason() -> None:
    assert to_plain(EXAMPLE)["inner"][1]["value"] == {"absent": "not read"}


def test_a_field_may_be_added_later_and_old_files_still_load() -> None:
    plain = to_plain(EXAMPLE)
    del plain["note"]
    assert from_plain(Outer, plain).note == "default"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"count": "three"}, "$.count"),
        ({"count": True}, "$.count"),
        ({"inner": {}}, "$.inner"),
        ({"inner": [{"value": "x", "names": []}]}, "$.inner[0].value"),
        ({"table": {"x": 1.5}}, "$.table.x"),
    ],
)
def test_a_damaged_record_is_refused_at_its_place(change: dict[str, object], where: str) -> None:
    with pytest.raises(EvidenceError) as caught:
        from_plain(Outer, {**to_plain(EXAMPLE), **change})
    assert caught.value.code == "record-shape"
    assert caught.value.where == where


def test_a_missing_field_is_named() -> None:
    plain = to_plain(EXAMPLE)
    del plain["count"]
    with pytest.raises(EvidenceError) as caught:
        from_plain(Outer, plain)
    assert caught.value.where == "$.count"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_never_saved(number: float) -> None:
    with pytest.raises(OutputError) as caught:
        to_plain(Inner(number, ()))
    assert caught.value.code == "not-finite"


def test_an_object_of_no_known_kind_is_never_saved() -> None:
    with pytest.raises(OutputError) as caught:
        to_plain({"x": {1, 2}})
    assert caught.value.code == "not-serialisable"


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e999, -1e999, True, "1"])
def test_a_number_that_no_float_holds_is_refused(number: object) -> None:
    plain = {"value": number, "names": []}
    with pytest.raises(EvidenceError) as caught:
        from_plain(Inner, plain)
    assert (caught.value.code, caught.value.where) == ("record-shape", "$.value")


@dataclass(frozen=True)
class Free:
    anything: Any


def test_a_value_of_any_shape_is_bounded_all_the_same() -> None:
    deep: object = 1
    for _ in range(MAX_DEPTH):
        deep = [{"a": deep}]
    for value in (deep, {"x": [1e999]}, [2**63]):
        with pytest.raises(EvidenceError):
            from_plain(Free, {"anything": value})
    assert from_plain(Free, {"anything": [{"a": [1, 2.5, None, True, "x"]}]}).anything[0]["a"][1] == 2.5
