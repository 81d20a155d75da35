"""What the model was made from, and by which of the hub's four relations."""

from __future__ import annotations

from collections.abc import Iterator

from parentage.cards.claims.finding import Prose
from parentage.cards.claims.sentences import is_model_name, short_name
from parentage.records.card import Claim

__all__ = ["origin_claims"]


def origin_claims(prose: Prose) -> Iterator[Claim]:
    """Base models, relations, and merges that the card says it is not."""
    for said, _ in prose.said("relation"):
        name = said.match.groupdict().get("name")
        if name is not None and not is_model_name(name):
            continue
        if not said.denied:
            yield prose.claim(said, "relation", said.rule.value)
        elif said.rule.value == "merge":
            yield prose.claim(said, "denied", "merge")
    for said, _ in prose.said("base-model"):
        if said.denied:
            continue
        for group in ("name2", "name") if "name2" in said.match.groupdict() else ("name",):
            name = said.match.group(group).rstrip(".-_+,;")
            if is_model_name(name) and short_name(name) != short_name(prose.own or "-"):
                yield prose.claim(said, "base-model", name)
                break
