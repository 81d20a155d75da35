"""Benchmark scores: tables of Markdown and HTML, and the results of the metadata block.

A table counts where its header or its first column names this model, or a benchmark by its head. Scores of
other models are kept beside: an interpolation is told from them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from parentage.cards.claims.document import Document
from parentage.cards.claims.markup import Cell, Table
from parentage.cards.claims.numbers import plain_number, score_of, shown_number
from parentage.cards.claims.sentences import short_name
from parentage.records.absence import Absent
from parentage.records.card import Claim, Score

__all__ = ["benchmark_id", "benchmark_scores", "score_claims"]

NO_ERROR: Final = Absent("the card states no error")
MAX_SCORES: Final = 10_000
_HEADS = re.compile(
    r"(?i)^(benchmarks?|tasks?|datasets?|metrics?|evals?|evaluations?|tests?|prueba|tarea|avaliação|tarefa"
    r"|épreuve|tâche|aufgabe|评测|基准|任务|数据集|模型|models?|modelo|modèle|modell)?$"
)
_MODELS = re.compile(r"(?i)^(模型|models?|modelo|modèle|modell|name|system)$")
_VALUES = re.compile(r"(?i)^(values?|scores?|results?|acc\w*|valor|puntuación|wert|得分|分数)$")


def benchmark_scores(document: Document, front: Mapping[str, Any], own: str) -> tuple[Score, ...]:
    """All scores, tables first in the order of the card."""
    found: list[Score] = []
    for table in document.tables:
        found += _of_table(table, document, own)
    found += _of_index(front, document)
    return tuple(found[:MAX_SCORES])


def score_claims(scores: Sequence[Score]) -> Iterator[Claim]:
    """This model's own scores as claims."""
    for score in scores:
        if score.own:
            value = f"{score.benchmark}={shown_number(score.value)}"
            yield Claim("benchmark", value, value, score.line, score.offset, "table")


def benchmark_id(text: str) -> str:
    """A benchmark's name without remarks in parentheses and marks: "MMLU (5-shot)" is MMLU."""
    return re.sub(r"\s+", " ", re.sub(r"[(（\[][^)）\]]*[)）\]]|[*`↑↓]", "", text)).strip()


def _of_table(table: Table, document: Document, own: str) -> Iterator[Score]:
    rows = [row for row in table.rows if row]
    if len(rows) < 2 or not _HEADS.fullmatch(rows[0][0].text.strip(" *_:")):
        return
    header, body = rows[0], rows[1:]
    by_row = bool(_MODELS.fullmatch(header[0].text.strip(" *_:"))) or (
        _own_of([row[0].text for row in body], own) >= 0 > _own_of([c.text for c in header[1:]], own)
    )
    models = [row[0].text for row in body] if by_row else [cell.text for cell in header[1:]]
    mine = _own_of(models, own)
    if mine < 0 and not by_row and len(models) == 1 and _VALUES.fullmatch(models[0].strip(" *_")):
        models, mine = [""], 0
    for i, row in enumerate(body):
        for j, cell in enumerate(row[1 : len(header)]):
            k = i if by_row else j
            head = header[j + 1].text if by_row else row[0].text
            yield from _cell(cell, head, models[k] if k < len(models) else "", k == mine, document)


def _cell(cell: Cell, head: str, model: str, own: bool, document: Document) -> Iterator[Score]:
    read, benchmark = score_of(cell.text), benchmark_id(head)
    if read is None or not benchmark:
        return
    line, offset = document.source.find(cell.text, cell.line)
    error = NO_ERROR if read[1] is None else read[1]
    yield Score(model.strip(" *_`"), benchmark, read[0], line, offset, "table", own, error)


def _own_of(models: Sequence[str], own: str) -> int:
    """The one that is this model: by its name, else by the longest beginning of it; -1 where none is."""
    wanted = _folded(own)
    names = [_folded(m) for m in models]
    if wanted in names and wanted:
        return names.index(wanted)
    begun = [
        k
        for k, name in enumerate(names)
        if len(name) >= 4 and (wanted.startswith(name) or name in ("ours", "thismodel"))
    ]
    if not wanted or not begun:
        return -1
    best = max(begun, key=lambda k: len(names[k]))
    # "Corvid-7B" begins "Corvid-7B-Chat" and is its base: a beginning counts where most of it is there.
    return best if len(names[best]) >= 0.6 * len(wanted) and _whole_but_size(names[best], wanted) else -1


def _whole_but_size(name: str, wanted: str) -> bool:
    return (
        re.fullmatch(r"(\d+(\.\d+)?[bm])?(a\d+[bm])?(instruct|chat)?", wanted.removeprefix(name))
        is not None
    )


def _folded(text: str) -> str:
    return re.sub(r"[^\w.]", "", short_name(text.strip(" *_`")).casefold())


def _of_index(front: Mapping[str, Any], document: Document) -> Iterator[Score]:
    index = front.get("model-index")
    line = document.source.text.count("\n", 0, max(document.source.text.find("model-index:"), 0)) + 1
    for model in _tables(index):
        for result in _tables(model.get("results")):
            dataset = result.get("dataset")
            name = dataset.get("name") if isinstance(dataset, dict) else None
            metrics = list(_tables(result.get("metrics")))
            for metric in metrics:
                value = _value(metric.get("value"))
                if value is not None:
                    label = _label(name, metric, len(metrics) > 1)
                    at, offset = document.source.find(label, line)
                    yield Score("", benchmark_id(label), value, at, offset, "front-matter", True, NO_ERROR)


def _label(dataset: Any, metric: Mapping[Any, Any], several: bool) -> str:
    kind = str(metric.get("type") or metric.get("name") or "")[:100]
    name = str(dataset)[:200] if isinstance(dataset, str) and dataset else kind
    return f"{name} {kind}" if several and kind != name else name


def _value(value: Any) -> float | None:
    if isinstance(value, str):
        read = score_of(value)
        return None if read is None else read[0]
    return plain_number(value)


def _tables(value: Any) -> Iterator[Mapping[Any, Any]]:
    if isinstance(value, list):
        yield from (item for item in value[:1_000] if isinstance(item, dict))
