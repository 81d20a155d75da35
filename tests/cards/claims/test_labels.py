"""The labelled cards are whole: rules are measured on them."""

from __future__ import annotations

from collections import Counter

from tests.cards.claims.labelled import FOLDER, labelled_cards


def test_every_card_has_labels_and_every_label_a_card() -> None:
    files = {path.stem for path in FOLDER.glob("*.md")}
    assert files == {card.name for card in labelled_cards()}
    assert len(files) >= 60


def test_a_third_is_held_out_and_has_every_kind_of_claim() -> None:
    cards = labelled_cards()
    assert [card.held_out for card in cards] == [k % 3 == 2 for k in range(len(cards))]
    kinds = Counter(kind for card in cards for kind, _ in card.claims)
    held = Counter(kind for card in cards if card.held_out for kind, _ in card.claims)
    # A notice that an upload was replaced became a kind of its own after the third was drawn and scored.
    assert set(kinds) - set(held) == {"upload"}
    assert len(kinds) == 17
