"""Scores that somebody measured: a table of model, benchmark, score and, if known, error or items."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from parentage.checkpoints.places import open_file
from parentage.errors import CardError
from parentage.numerics.published.score_lines import binomial_error
from parentage.records.absence import Absent
from parentage.records.card import Score

__all__ = ["read_scores"]

MAX_BYTES = 4 * 2**20
MAX_ROWS = 10_000
NO_ERROR = Absent("the table states no error")


def read_scores(path: Path) -> tuple[Score, ...]:
    """Rows of a CSV file with a header that has model, benchmark and score; error and items are optional.

    Raises ``CardError`` (``card-scores``) naming the row, ``InputMissingError``.
    """
    with os.fdopen(open_file(path), "rb") as stream:
        raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise _bad(f"it is longer than {MAX_BYTES:,} bytes", str(path))
    rows = csv.DictReader(raw.decode("utf-8-sig", errors="replace").splitlines())
    if not {"model", "benchmark", "score"} <= set(rows.fieldnames or ()):
        raise _bad("its header lacks model, benchmark or score", str(path))
    return tuple(_scores(rows, str(path)))


def _scores(rows: csv.DictReader[str], where: str) -> Iterator[Score]:
    try:
        for number, row in enumerate(rows, start=2):
            if number > MAX_ROWS:
                raise _bad(f"it has more than {MAX_ROWS:,} rows", where)
            yield _score(row, number, where)
    except csv.Error as problem:
        raise _bad(str(problem), where) from None


def _score(row: Mapping[str, str | None], number: int, where: str) -> Score:
    value = _number(row, "score", number, where)
    model, benchmark = (row.get("model") or "").strip(), (row.get("benchmark") or "").strip()
    if value is None or not benchmark:
        raise _bad(f"row {number} has no benchmark or no score", where)
    error, items = _number(row, "error", number, where), _number(row, "items", number, where)
    if error is None and items is not None and items >= 1:
        error = binomial_error(value, int(items))
    return Score(model, benchmark, value, number, 0, "scores", False, NO_ERROR if error is None else error)


def _number(row: Mapping[str, str | None], key: str, number: int, where: str) -> float | None:
    text = (row.get(key) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or abs(value) > 1e9 or (key != "score" and value < 0):
        raise _bad(f"row {number}: {text[:40]!r} is no {key}", where)
    return value


def _bad(message: str, where: str) -> CardError:
    return CardError(
        message, code="card-scores", where=where, hint="a CSV file: model,benchmark,score,error,items"
    )
