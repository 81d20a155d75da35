"""Where each character of a rendered prompt was written in its template.

Every literal of the syntax tree that can reach the output is put between marks that no text holds; a
rendering of the marked tree then says of each character which literal it stems from. That marks move
nothing is checked: a template whose marked rendering, marks taken off, is not its plain one is not read
this way.
"""

from __future__ import annotations

from dataclasses import dataclass

from jinja2 import nodes

__all__ = ["Literal", "Traced", "literals_of", "mark", "traced"]

OPEN, CLOSE, END = "\ue000", "\ue001", "\ue002"
# Literals that are compared, looked up or handed on are not output, and a mark would change what is found.
_NOT_OUTPUT = (
    nodes.Compare,
    nodes.Getitem,
    nodes.Getattr,
    nodes.Test,
    nodes.Call,
    nodes.Slice,
    nodes.Keyword,
)


@dataclass(frozen=True, slots=True)
class Literal:
    """A text in the template, by its number in reading order, and the line that it begins in."""

    number: int
    node: nodes.TemplateData | nodes.Const
    line: int

    @property
    def text(self) -> str:
        """As it stands in the tree now."""
        return str(self.node.data if isinstance(self.node, nodes.TemplateData) else self.node.value)

    def put(self, text: str) -> None:
        """Replace it in the tree."""
        if isinstance(self.node, nodes.TemplateData):
            self.node.data = text
        else:
            self.node.value = text


@dataclass(frozen=True, slots=True)
class Traced:
    """A rendering, and for each character the literal's number and the place in it, or ``None``."""

    text: str
    origins: tuple[tuple[int, int] | None, ...]


def literals_of(tree: nodes.Template) -> list[Literal]:
    """The literals that can reach the output, in the order of the tree; the same for equal sources."""
    found: list[Literal] = []
    _collect(tree, found)
    return found


def _collect(node: nodes.Node, found: list[Literal]) -> None:
    if isinstance(node, nodes.TemplateData) or (
        isinstance(node, nodes.Const) and isinstance(node.value, str)
    ):
        found.append(Literal(len(found), node, node.lineno))
        return
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
        return
    if isinstance(node, nodes.Filter):
        _collect_filter(node, found)
        return
    if isinstance(node, _NOT_OUTPUT):
        return
    for child in node.iter_child_nodes():
        _collect(child, found)


def _collect_filter(node: nodes.Filter, found: list[Literal]) -> None:
    if node.node is not None:
        _collect(node.node, found)
    # Of the filters, these two put an argument into the output.
    if node.name in ("default", "d", "__joined"):
        for argument in node.args:
            _collect(argument, found)


def mark(literals: list[Literal]) -> None:
    """Put marks around the words of each literal, inside its leading and trailing blanks."""
    for literal in literals:
        text = literal.text
        core = text.strip()
        if core:
            start = text.index(core)
            marked = f"{OPEN}{literal.number}{CLOSE}{core}{END}"
            literal.put(text[:start] + marked + text[start + len(core) :])


def traced(marked: str, leads: dict[int, int]) -> Traced:
    """Take the marks off a rendering; ``leads``: how many blanks each literal begins with.

    Raises ``ValueError`` where the marks were pulled apart.
    """
    text: list[str] = []
    origins: list[tuple[int, int] | None] = []
    number: int | None = None
    at = place = 0
    while at < len(marked):
        sign = marked[at]
        if sign == OPEN:
            close = marked.index(CLOSE, at)
            number = int(marked[at + 1 : close])
            at, place = close + 1, leads[number]
            continue
        if sign == END:
            number = None
        else:
            text.append(sign)
            origins.append(None if number is None else (number, place))
            place += 1
        at += 1
    return Traced("".join(text), tuple(origins))
