"""The JSON contract: documented field by field, written in a fixed order, read strictly."""

from __future__ import annotations

import dataclasses
import json
import re
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parentage.errors import EvidenceError
from parentage.records.absence import Absent
from parentage.records.json_files import loads
from parentage.records.report import SCHEMA, VERSION, Report, from_json, to_json
from parentage.reports.json import render
from tests.reports.large_world import large
from tests.reports.worlds import demo, empty, hostile, trained

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / f"report-v{VERSION}.md"
WORLDS: tuple[Callable[[], Report], ...] = (demo, trained, empty, large)
_NAMES: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Any: "any value",
    Absent: "absent",
}


def _words(kind: Any, inside: bool = False) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        either = " or ".join(_words(a, inside=False) for a in arguments)
        return f"({either})" if inside else either
    if origin is tuple:
        return f"list of {_words(arguments[0], inside=True)}"
    if origin is not None and issubclass(origin, Mapping):
        return f"object of {_words(arguments[1], inside=True)}"
    return _NAMES.get(kind) or kind.__name__


def _records(root: type) -> dict[str, dict[str, tuple[str, bool]]]:
    """Every record that the root leads to: its fields' types in words, and whether each is optional."""
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    waiting: list[Any] = [root]
    while waiting:
        kind: Any = waiting.pop()
        waiting += typing.get_args(kind)
        name = getattr(kind, "__name__", "")
        if not dataclasses.is_dataclass(kind) or kind is Absent or name in found:
            continue
        hints = typing.get_type_hints(kind)
        found[name] = {
            f.name: (_words(hints[f.name]), f.default is not dataclasses.MISSING)
            for f in dataclasses.fields(kind)
        }
        waiting += hints.values()
    return found


def _documented() -> dict[str, dict[str, tuple[str, bool]]]:
    found: dict[str, dict[str, tuple[str, bool]]] = {}
    for section in re.split(r"^### ", DOCUMENT.read_text(encoding="utf-8"), flags=re.M)[1:]:
        rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.M)
        found[section.split("\n")[0]] = {
            name: (kind, meaning.endswith("optional")) for name, kind, meaning in rows
        }
    return found


def test_the_document_names_every_record_and_no_other() -> None:
    assert _documented().keys() == _records(Report).keys()


@pytest.mark.parametrize("record", sorted(_records(Report)))
def test_the_document_names_every_field_with_its_type(record: str) -> None:
    assert _documented()[record] == _records(Report)[record]


@pytest.mark.parametrize("world", WORLDS)
def test_a_report_survives_its_file(world: Callable[[], Report]) -> None:
    text = render(world())
    read = loads(text.encode(), schema=SCHEMA, version=VERSION)
    assert from_json(read) == world()
    assert render(from_json(read)) == text
    assert list(read)[:2] == ["schema", "version"]


def test_every_optional_field_may_be_missing() -> None:
    plain = to_json(large())
    for name, (_, optional) in _records(Report)["Report"].items():
        if optional:
            plain.pop(name)
    plain["suspect"].pop("dtypes")
    report = from_json(plain)
    assert report.parents == ()
    assert isinstance(report.merge_tests, Absent)
    assert isinstance(report.suspect.dtypes, Absent)


def test_a_field_of_a_later_release_is_ignored() -> None:
    plain = to_json(demo())
    plain["horoscope"] = {"sign": "gemini"}
    plain["verdict"]["mood"] = 1
    assert from_json(plain) == demo()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda plain: plain.pop("verdict"),
        lambda plain: plain["verdict"].update(status="certain"),
        lambda plain: plain["coverage"].update(tensors="many"),
        lambda plain: plain["novelty"].update(bits_per_weight=None),
        lambda plain: plain["novelty"].update(bits_per_weight=1e999),
        lambda plain: plain["consistency_curve"].update(grid=[0.0, 1.0]),
        lambda plain: plain.update(offset_histogram={"near": 3}),
        lambda plain: plain["tensors"][0].update(weights=[0.5]),
    ],
)
def test_a_report_that_does_not_keep_the_contract_is_refused(spoil: Callable[[Any], object]) -> None:
    plain = to_json(demo())
    spoil(plain)
    with pytest.raises(EvidenceError):
        from_json(plain)


def test_settings_in_another_order_are_the_same_file() -> None:
    report = demo()
    turned = replace(report, used=dict(reversed(list(report.used.items()))))
    assert render(turned) == render(report)


def test_hostile_names_are_kept_as_they_are_in_json() -> None:
    """JSON is evidence: nothing is clipped or rewritten in it."""
    report = hostile()
    assert json.loads(render(report))["verdict"]["limits"] == list(report.verdict.limits)
