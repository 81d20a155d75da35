"""A page as a reader of markup sees it."""

from __future__ import annotations

from html.parser import HTMLParser

__all__ = ["OUR_ELEMENTS", "Page"]

OUR_ELEMENTS = frozenset(
    {"html", "head", "meta", "title", "style", "script", "body", "header", "nav", "main", "footer"}
    | {"section", "h1", "h2", "h3", "p", "div", "span", "small", "strong", "a", "wbr", "pre", "code"}
    | {"ul", "ol", "li", "dl", "dt", "dd", "table", "thead", "tbody", "tr", "th", "td"}
    | {"figure", "figcaption", "details", "summary", "svg", "line", "rect", "circle", "polyline", "text"}
)
VOID = frozenset({"meta", "wbr"})


class Page(HTMLParser):
    """The page as a reader of markup sees it: elements, attributes, texts, and their balance."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("td", "th", "dt", "dd"):
            self.texts.append(" ")

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.texts).split())
