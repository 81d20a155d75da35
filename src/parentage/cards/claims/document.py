"""A card in blocks: paragraphs, items, headings, tables and fences, each with its line.

Markdown is read by markdown-it-py (CommonMark with tables), HTML by the standard library; both only
tell where text stands. Comments, scripts and images say nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

from parentage.cards.claims.markup import MAX_COLUMNS, MAX_ROWS, Cell, MarkupReader, Table
from parentage.cards.claims.source import MAX_BODY, Source

__all__ = ["Block", "Document", "Fence", "read_document"]

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """Running text; ``kind``: paragraph, item, heading (of ``level``) or quote; ``last``: its last line."""

    kind: str
    text: str
    line: int
    last: int
    level: int = 0


@dataclass(frozen=True, slots=True)
class Fence:
    """Fenced text and the word behind its fence."""

    info: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Document:
    """A card in parts. ``front`` is the text of the metadata block, which ``front_line`` begins."""

    source: Source
    front: str
    front_line: int
    blocks: tuple[Block, ...]
    tables: tuple[Table, ...]
    fences: tuple[Fence, ...]
    limits: tuple[str, ...]


def read_document(source: Source) -> Document:
    """The parts of a card, in its order; HTML after the Markdown that it interrupts."""
    found = _FRONT.match(source.text)
    body_line = 1 if found is None else source.text[: found.end()].count("\n") + 1
    body = source.text if found is None else source.text[found.end() :]
    limits = []
    if len(body) > MAX_BODY:
        limits.append(f"only the first {MAX_BODY:,} of {len(body):,} characters of its text were read")
    body = body[:MAX_BODY]
    tokens = MarkdownIt("commonmark").enable("table").parse(_closed(body))
    reader = _Reader(tokens, body_line)
    reader.run()
    front = "" if found is None else found[1]
    blocks = tuple(reader.blocks)
    return Document(source, front, 2, blocks, tuple(reader.tables), tuple(reader.fences), tuple(limits))


def _closed(text: str) -> str:
    """The text without openings of comments and the like that nothing closes.

    Each of them would be looked for to the end: 30,000 took 40 seconds. At the beginning of a line such a
    comment hides all that follows it, on the hub as here.
    """
    for opening, closing in (("<!--", "-->"), ("<?", "?>"), ("<![CDATA[", "]]>")):
        last = text.rfind(closing)
        head, tail = text[: max(last, 0)], text[max(last, 0) :]
        hides = re.search(rf"(?m)^ {{0,3}}{re.escape(opening)}", tail)
        if hides is not None and opening == "<!--":
            tail = tail[: hides.start()]
        text = head + tail.replace(opening, " " * len(opening))
    return text


class _Reader:
    """One walk over the tokens of a body that begins on line ``first``."""

    def __init__(self, tokens: Sequence[Token], first: int) -> None:
        self.tokens, self.first = tokens, first
        self.blocks: list[Block] = []
        self.tables: list[Table] = []
        self.fences: list[Fence] = []
        self._markup = MarkupReader()
        self._open: list[Token] = []

    def run(self) -> None:
        """Fills the lists."""
        for token in self.tokens:
            if token.nesting == 1:
                self._begin(token)
            elif token.nesting == -1:
                self._open.pop()
            elif token.type == "inline":
                self._inline(token)
            elif token.type in ("fence", "code_block"):
                self.fences.append(Fence(token.info.strip().lower(), token.content, self._line(token)))
            elif token.type == "html_block":
                self._html(token)

    def _begin(self, token: Token) -> None:
        self._open.append(token)
        if token.type == "table_open":
            self.tables.append(Table())
        elif token.type == "tr_open" and len(self.tables[-1].rows) < MAX_ROWS:
            self.tables[-1].rows.append([])

    def _line(self, token: Token) -> int:
        return self.first + (token.map[0] if token.map else 0)

    def _html(self, token: Token) -> None:
        seen, tables = len(self._markup.texts), len(self._markup.tables)
        self._markup.read(token.content, self._line(token))
        last = self.first + token.map[1] - 1 if token.map else self._line(token)
        self.blocks += [Block("paragraph", text, line, last) for text, line in self._markup.texts[seen:]]
        self.tables += self._markup.tables[tables:]

    def _inline(self, token: Token) -> None:
        kinds = [t.type for t in self._open]
        row = next((t for t in reversed(self._open) if t.type == "tr_open"), None)
        if row is not None:
            rows = self.tables[-1].rows
            if rows and len(rows[-1]) < MAX_COLUMNS:
                rows[-1].append(Cell(_plain(token), self._line(row)))
            return
        heading = self._open[-1].tag if kinds[-1:] == ["heading_open"] else ""
        kind = "heading" if heading else "item" if "list_item_open" in kinds else "paragraph"
        if "blockquote_open" in kinds and not _is_note(token.content):
            kind = "quote"
        level = int(heading[1]) if heading else 0
        line = self._line(token)
        last = self.first + token.map[1] - 1 if token.map else line
        self.blocks += [Block(kind, text, line + k, last, level) for k, text in _lines(token) if text]


def _is_note(text: str) -> bool:
    """A block quote that its writer uses as a frame for words of his own: ``[!NOTE]``, or a bold title."""
    return re.match(r"\s*(\[!|\*\*|__)", text) is not None


def _plain(token: Token) -> str:
    return re.sub(r"\s+", " ", "".join(_words(token.children or ()))).strip()


def _words(children: Sequence[Token]) -> Iterator[str]:
    unseen = 0
    for child in children:
        tag = child.content.lower() if child.type == "html_inline" else ""
        if tag.startswith(("<script", "<style", "<template")):
            unseen += 1
        elif tag.startswith(("</script", "</style", "</template")):
            unseen = max(0, unseen - 1)
        elif child.type in ("text", "code_inline") and not unseen:
            yield child.content
        elif child.type in ("softbreak", "hardbreak") or tag.startswith("<br"):
            yield " "


def _lines(token: Token) -> list[tuple[int, str]]:
    """Text by lines where they are separate ones: after a hard break, and before ``Developed by: ...``.

    With each, the number of source lines before it in the block.
    """
    children = token.children or []
    parts: list[tuple[int, list[Token]]] = [(0, [])]
    line = 0
    for k, child in enumerate(children):
        broken = child.type in ("softbreak", "hardbreak")
        line += broken
        if child.type == "hardbreak" or (broken and _is_entry(children[k + 1 : k + 5])):
            parts.append((line, []))
        else:
            parts[-1][1].append(child)
    return [(k, re.sub(r"\s+", " ", "".join(_words(c))).strip()) for k, c in parts]


def _is_entry(children: Sequence[Token]) -> bool:
    return re.match(r"[^\W\d_][\w /-]{2,30} ?: ", "".join(_words(children)) + " ") is not None
