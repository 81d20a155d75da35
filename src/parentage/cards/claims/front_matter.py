"""The metadata block of a card (huggingface.co/docs/hub/model-cards): plain YAML, safely read, bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from parentage.cards.claims.document import Document
from parentage.cards.claims.sentences import is_model_name
from parentage.cards.claims.source import Source
from parentage.checkpoints.declared import MAX_YAML, plain_yaml
from parentage.records.card import Claim

__all__ = ["front_claims", "read_front"]

MAX_ENTRIES: Final = 256
_KEYS = (
    "base_model|base_model_relation|license|license_name|language|tags|library_name|pipeline_tag"
    "|model-index|model_name|model_creator|quantized_by|instance_prompt"
)
_RELATIONS: Final = {
    "finetune": "finetune",
    "merge": "merge",
    "quantized": "quantized",
    "adapter": "adapter",
}
# Tags that the hub itself takes for a relation, and those of tools that leave one.
_TAGS: Final = {"merge": "merge", "lora": "adapter", "peft": "adapter", "quantized": "quantized"}
_TAGS_OF_KIND: Final = {
    "stable-diffusion": "diffusion",
    "text-to-image": "diffusion",
    "moe": "mixture-of-experts",
}


def read_front(document: Document) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The table, and what of it could not be read."""
    if not document.front.strip():
        return {}, ()
    if len(document.front) <= MAX_YAML:
        table = plain_yaml(document.front)
        if isinstance(table, dict):
            return {str(k): v for k, v in table.items()}, ()
        return {}, ("the metadata block is no readable YAML table: nothing was taken from it",)
    found: dict[str, Any] = {}
    for block in re.finditer(
        rf"(?m)^(?:{_KEYS})[ \t]*:[^\n]*(?:\n(?:[ \t]|-[ \t])[^\n]*)*", document.front
    ):
        table = plain_yaml(block.group())
        if isinstance(table, dict):
            found |= {str(k): v for k, v in table.items()}
    return found, (f"of a metadata block over {MAX_YAML:,} characters only known fields were read",)


def front_claims(table: Mapping[str, Any], document: Document) -> Iterator[Claim]:
    """Claims of the fields that the hub defines."""
    place = _Places(document)
    for name in _texts(table.get("base_model")):
        yield place.claim("base-model", name, "base_model", name)
    for kind, value, key, words in _marked(table):
        yield place.claim(kind, value, key, words)
    yield from _licence(table, place)
    for code in _texts(table.get("language")):
        if re.fullmatch(r"[A-Za-z]{2,3}(-[\w-]+)?|multilingual", code):
            yield place.claim("language", code.lower(), "language", code)
    for key in ("model_creator", "maker"):
        for who in _texts(table.get(key)):
            yield place.claim("maker", who, key, who)


def _marked(table: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Relations and kinds that a field, a tag or a library says: kind, value, key, words."""
    for text in _texts(table.get("base_model_relation")):
        if text.lower() in _RELATIONS:
            yield "relation", _RELATIONS[text.lower()], "base_model_relation", text
    if "peft" in _texts(table.get("library_name")):
        yield "relation", "adapter", "library_name", "peft"
    if "diffusers" in _texts(table.get("library_name")):
        yield "inference", "diffusers", "library_name", "diffusers"
    for tag in _texts(table.get("tags")):
        lower = tag.lower()
        if lower in _TAGS:
            yield "relation", _TAGS[lower], "tags", tag
        if lower in _TAGS_OF_KIND:
            yield "architecture", _TAGS_OF_KIND[lower], "tags", tag
        found = re.fullmatch(r"base_model:(?:(finetune|merge|quantized|adapter):)?(.+)", tag)
        if found and is_model_name(found[2]):
            yield "base-model", found[2], "tags", tag
            if found[1]:
                yield "relation", _RELATIONS[found[1]], "tags", tag


def _licence(table: Mapping[str, Any], place: _Places) -> Iterator[Claim]:
    named = list(_texts(table.get("license_name")))
    for name in named:
        yield place.claim("licence", name, "license_name", name)
    for name in _texts(table.get("license")):
        if name.lower() != "other" or not named:
            yield place.claim("licence", name.lower(), "license", name)


def _texts(value: Any) -> Iterator[str]:
    for item in (value if isinstance(value, list) else [value])[:MAX_ENTRIES]:
        if isinstance(item, str) and 0 < len(item.strip()) <= 300:
            yield item.strip()
        elif item is False:
            yield "no"  # YAML reads Norwegian's code as a truth value.


class _Places:
    """Where a field's words stand."""

    def __init__(self, document: Document) -> None:
        self._source: Source = document.source
        self._end = document.source.offset_of(document.front_line) + len(document.front)

    def claim(self, kind: str, value: str, key: str, words: str) -> Claim:
        """A claim of the field ``key``, at its words where they can be found."""
        found = re.compile(rf"(?m)^[ \t]*{re.escape(key)}[ \t]*:").search(self._source.text, 0, self._end)
        line = self._source.line_of(found.start()) if found else 2
        at, offset = self._source.find(words, line)
        shown = f"{key}: {words}"
        return Claim(kind, value, shown, at, offset, "front-matter")
