"""That weight files were replaced: read in six languages, and not read where it is denied or another's."""

from __future__ import annotations

import pytest

from parentage.cards.claims.reading import read_card

SAYS = (
    "The first upload was the wrong checkpoint.",
    "We uploaded the wrong weights by mistake.",
    "The weights have been replaced on 12 June.",
    "We have re-uploaded the correct checkpoint.",
    "O primeiro envio era o checkpoint errado e foi uma falha nossa.",
    "Os pesos foram substituídos em 12 de junho.",
    "El checkpoint equivocado fue publicado por error en esta página.",
    "Los pesos han sido reemplazados el 12 de junio.",
    "Le mauvais checkpoint a été publié par erreur.",
    "Les poids ont été remplacés le 12 juin.",
    "Zuerst wurde der falsche Checkpoint hochgeladen.",
    "Die Gewichte wurden inzwischen ersetzt und auf der Seite ist das auch gesagt.",
    "我们上传了错误的检查点。",
    "权重文件已经替换。",
)
SAYS_NOT = (
    "The weights have not been replaced.",
    "The learning rate was updated every step.",
    "Heron-7B was released with the wrong tokenizer.",
    "Upload your own checkpoint with the script.",
    "Os pesos não foram substituídos.",
    "Die Gewichte sind unter Apache-2.0 veröffentlicht.",
    '"The weights have been replaced with the right ones", somebody wrote in the forum.',
)


def uploads(text: str) -> list[str]:
    return [c.value for c in read_card(f"# Finch-7B\n\n{text}\n").claims if c.kind == "upload"]


@pytest.mark.parametrize("text", SAYS)
def test_a_card_that_says_so_is_read_so(text: str) -> None:
    assert uploads(text) == ["replaced"]


@pytest.mark.parametrize("text", SAYS_NOT)
def test_a_card_that_does_not_is_not(text: str) -> None:
    assert uploads(text) == []


@pytest.mark.parametrize("opening", ["**Erratum.**", "Update:", "[!WARNING]", "Aviso:", "更正："])
def test_a_notice_in_a_block_quote_is_the_cards_own(opening: str) -> None:
    assert uploads(f"> {opening} The first upload was the wrong checkpoint.") == ["replaced"]


def test_any_other_block_quote_is_somebody_elses() -> None:
    assert uploads("> They told us that the first upload was the wrong checkpoint.") == []
