"""Merges: the method, the models, their weights, in sentences and in recipes of mergekit's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from parentage.cards.claims.document import Document, Fence
from parentage.cards.claims.finding import Prose
from parentage.cards.claims.numbers import number_of, plain_number, shown_number
from parentage.cards.claims.sentences import NAME, is_model_name, short_name
from parentage.checkpoints.declared import plain_yaml
from parentage.records.card import Claim

__all__ = ["merge_claims", "recipe_claims"]

_TERM = re.compile(
    rf"(?<![\d.,])(?P<number>\d{{1,6}}(?:[.,]\d{{1,9}})?|[.,]\d{{1,9}})\s*[*×·]\s*(?P<name>{NAME})"
)
MAX_RECIPE = 64 * 2**10


def merge_claims(prose: Prose) -> Iterator[Claim]:
    """Models and methods in sentences; a method counts where the card speaks of a merge at all."""
    merged = list(_merged(prose))
    yield from merged
    is_merge = bool(merged) or any(
        said.rule.value == "merge" and not said.denied for said, _ in prose.said("relation")
    )
    for said, _ in prose.said("merge-method"):
        if is_merge and not said.denied:
            yield prose.claim(said, "merge-method", said.rule.value)


def _merged(prose: Prose) -> Iterator[Claim]:
    for said, vocabulary in prose.said("merge-parent"):
        if said.denied:
            continue
        for name in said.names(vocabulary):
            if short_name(name) != short_name(prose.own or "-"):
                yield prose.claim(said, "merge-parent", name)
    yield from _listed(prose)
    yield from _sums(prose)


def _listed(prose: Prose) -> Iterator[Claim]:
    """The items below mergekit's own line, "The following models were included in the merge:"."""
    open_list = False
    for sentence in prose.sentences:
        if "models were included in the merge" in sentence.text:
            open_list = True
        elif open_list:
            name = sentence.text.split()[0].strip("*[]():,") if sentence.text.split() else ""
            open_list = not sentence.heading and is_model_name(name) and len(sentence.text.split()) <= 3
            if open_list:
                line, offset = prose.source.find(name, sentence.line, sentence.last)
                yield Claim("merge-parent", name, sentence.text, line, offset, "prose")


def _sums(prose: Prose) -> Iterator[Claim]:
    """Sums such as ``0.6 * A + 0.4 * B``."""
    for sentence in prose.sentences:
        terms = [m for m in _TERM.finditer(sentence.text) if is_model_name(m["name"].rstrip(".-_+"))]
        if len(terms) < 2:
            continue
        line, offset = prose.source.find(terms[0].group(), sentence.line, sentence.last)
        yield Claim("relation", "merge", sentence.text[:300], line, offset, "prose")
        for term in terms:
            name, weight = term["name"].rstrip(".-_+"), shown_number(number_of(term["number"]))
            yield Claim("merge-parent", name, sentence.text[:300], line, offset, "prose")
            yield Claim("merge-weight", f"{name}={weight}", sentence.text[:300], line, offset, "prose")


def recipe_claims(document: Document) -> Iterator[Claim]:
    """Recipes in fenced blocks, as mergekit reads them."""
    for fence in document.fences:
        if fence.info.split(" ")[0] not in ("yaml", "yml", "") or "merge_method" not in fence.text:
            continue
        table = plain_yaml(fence.text) if len(fence.text) <= MAX_RECIPE else None
        if isinstance(table, dict):
            yield from _of_recipe(table, fence, document)


def _of_recipe(table: Mapping[Any, Any], fence: Fence, document: Document) -> Iterator[Claim]:
    def claim(kind: str, value: str, words: str) -> Claim:
        line, offset = document.source.find(words, fence.line)
        return Claim(kind, value, f"recipe: {words}"[:300], line, offset, "recipe")

    yield claim("relation", "merge", "merge_method")
    method = table.get("merge_method")
    if isinstance(method, str):
        yield claim("merge-method", method, method)
    base = table.get("base_model")
    if isinstance(base, str) and base:
        yield claim("base-model", base, base)
    for name, weight in _entries(table):
        yield claim("merge-parent", name, name)
        if weight is not None:
            yield claim("merge-weight", f"{name}={shown_number(weight)}", name)


def _entries(table: Mapping[Any, Any]) -> Iterator[tuple[str, float | None]]:
    """Models with their weights, each once; a gradient over layers is no single weight."""
    seen: set[tuple[str, float | None]] = set()
    sources = [s for part in _tables(table.get("slices")) for s in _tables(part.get("sources"))]
    for entry in (*_tables(table.get("models")), *sources):
        name, parameters = entry.get("model"), entry.get("parameters")
        found = str(name), plain_number(parameters.get("weight") if isinstance(parameters, dict) else None)
        if isinstance(name, str) and 0 < len(name) <= 300 and found not in seen:
            seen.add(found)
            yield found


def _tables(value: Any) -> Iterator[Mapping[Any, Any]]:
    if isinstance(value, list):
        yield from (item for item in value[:256] if isinstance(item, dict))
