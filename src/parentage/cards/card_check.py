"""Does a model card still say what a label's record says? People edit cards: only the claims are held."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import yaml

from parentage.cards.model_card import model_card
from parentage.errors import LabelError
from parentage.records.merge import MergeRecord

__all__ = ["card_mismatches"]

MOST_FRONT: Final = 200_000
RELATION: Final = "base_model_relation"
BASES: Final = "base_model"


def card_mismatches(text: str | None, record: MergeRecord) -> Iterator[LabelError]:
    """What the card must say and does not: that it is a merge, of what, by which recipe."""
    name = record.basis.card
    if text is None:
        yield LabelError("the label's card is not there", code="label-card-differs", where=name)
    elif text != model_card(record) and (lacking := _not_said(text, record)):
        yield LabelError(
            f"the card does not say (any more): {', '.join(lacking[:5])}",
            code="label-card-differs",
            where=name,
        )


def _not_said(text: str, record: MergeRecord) -> list[str]:
    front = _front(text)
    named = front.get(BASES, [])
    lacking = [p.id for p in record.parents if isinstance(p.id, str) and p.id not in named]
    if front.get(RELATION) != ["merge"]:
        lacking.append(f"{RELATION}: merge")
    if record.recipe_sha256 not in text:
        lacking.append("the recipe's SHA-256")
    first = [f.sha256 for p in record.parents for f in p.files[:1] if isinstance(f.sha256, str)]
    return lacking + [f"a parent's SHA-256, {digest}" for digest in first if digest not in text]


def _front(text: str) -> dict[str, list[str]]:
    """The metadata's texts and lists of texts. Nodes alone are looked at: nothing is constructed, so
    that no alias is ever followed."""
    parts = re.split(r"\r?\n---", text[3 : MOST_FRONT + 3], maxsplit=1)
    if not text.startswith("---") or len(parts) != 2:
        return {}
    try:
        node = yaml.compose(parts[0], Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return {k.value: _texts(v) for k, v in pairs if isinstance(k, yaml.ScalarNode)}


def _texts(node: yaml.Node) -> list[str]:
    if isinstance(node, yaml.ScalarNode):
        return [str(node.value)]
    listed = node.value if isinstance(node, yaml.SequenceNode) else []
    return [str(n.value) for n in listed if isinstance(n, yaml.ScalarNode)]
