"""The sandbox that chat templates are rendered in: no attributes, and every loop, call and text bounded.

A chat template is a program of the model under examination. Jinja's immutable sandbox keeps it from
reaching Python; what it leaves open is time and memory, so here each turn of a loop and each call counts,
and every operation that can make a text long is bounded. What is not foreseen meets the limits of the
process that this runs in (``worker``).

The globals and the ``generation`` block are those that ``transformers`` gives a template
(``transformers/utils/chat_template_utils.py``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = [
    "MOST_STEPS",
    "MOST_TEXT",
    "Bounds",
    "BoundsExceeded",
    "Refused",
    "Sandbox",
    "bounded",
    "count_everything",
]

# The longest template known (80 kB) takes some 3,000 steps for a conversation of a few turns.
MOST_STEPS = 200_000
MOST_TEXT = 2**20
MOST_RANGE = 10_000
# Today's date is no business of a reading that must be the same tomorrow.
FIXED_DATE = "2026-01-01"
_WIDTH = re.compile(r"\d{5,}|\*")
_LENGTHENING = frozenset(
    {
        "center",
        "ljust",
        "rjust",
        "zfill",
        "expandtabs",
        "format",
        "format_map",
        "join",
        "replace",
        "translate",
    }
)
_FILTERS_LEFT_OUT = (
    "center",
    "format",
    "indent",
    "pprint",
    "urlize",
    "wordwrap",
    "xmlattr",
    "batch",
    "slice",
)


class BoundsExceeded(Exception):
    """A template did more than any template needs."""


class Refused(Exception):
    """The template itself called ``raise_exception``."""


class Bounds:
    """Steps taken by one rendering."""

    def __init__(self, most: int = MOST_STEPS) -> None:
        self.left = most

    def step(self) -> None:
        """Count one; raises ``BoundsExceeded``."""
        self.left -= 1
        if self.left < 0:
            raise BoundsExceeded(f"more than {MOST_STEPS:,} steps of loops and calls")


class _Generation(Extension):
    """``{% generation %}`` marks what a model wrote; its content is rendered as it is."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Sandbox(ImmutableSandboxedEnvironment):
    """One environment renders one template at a time; ``bounds`` is renewed for each rendering."""

    intercepted_binops = frozenset({"+", "*", "**", "%", "//", "/", "-"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols])
        self.bounds = Bounds()
        for name in _FILTERS_LEFT_OUT:
            self.filters.pop(name, None)
        self.filters.update(
            {"tojson": _to_json, "__counted": self._counted, "__joined": _joined, "indent": _indent}
        )
        self.filters["join"] = self._join
        self.filters["replace"] = _replace
        self.globals.pop("lipsum", None)
        self.globals.update(raise_exception=_refuse, strftime_now=_strftime, range=_range)

    def call(self, context: Context, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Count the call; a method that lengthens a text is bounded before it runs."""
        self.bounds.step()
        owner = getattr(obj, "__self__", None)
        name = getattr(obj, "__name__", "")
        if isinstance(owner, str) and name in _LENGTHENING:
            return _lengthened(owner, name, args, kwargs)
        return bounded(super().call(context, obj, *args, **kwargs))

    def wrap_str_format(self, value: Any) -> Any:
        """``str.format`` is refused, not wrapped: its widths know no bound."""
        if getattr(value, "__name__", "") in ("format", "format_map") and isinstance(
            getattr(value, "__self__", None), str
        ):
            raise SecurityError("str.format is not rendered")
        return None

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operation of two values, whose result is bounded before it is made."""
        if operator == "*":
            _check_product(left, right)
        elif operator == "**" and not (_small(left) and _small(right)):
            raise BoundsExceeded("a power of large numbers")
        elif operator == "%" and isinstance(left, str) and _WIDTH.search(left):
            raise BoundsExceeded("a format of extreme width")
        return bounded(super().call_binop(context, operator, left, right))

    def _counted(self, value: Iterable[Any]) -> Iterator[Any]:
        for item in value:
            self.bounds.step()
            yield item

    def _join(self, value: Iterable[Any], d: str = "", attribute: str | None = None) -> str:
        if attribute is not None:
            raise SecurityError("join by an attribute is not rendered")
        return _joined("", *(part for item in self._counted(value) for part in (d, str(item))))[len(d) :]


def bounded(value: Any) -> Any:
    """The value, when it is no longer than a prompt may be; raises ``BoundsExceeded``."""
    if isinstance(value, (str, bytes, list, tuple, dict)) and len(value) > MOST_TEXT:
        raise BoundsExceeded(f"a text or list of more than {MOST_TEXT:,} entries")
    if isinstance(value, int) and value.bit_length() > 4096:
        raise BoundsExceeded("a number of more than 4,096 bits")
    return value


def count_everything(tree: nodes.Template) -> nodes.Template:
    """The tree with every loop counted and every ``~`` bounded; changes it in place."""
    for loop in tree.find_all(nodes.For):
        loop.iter = nodes.Filter(loop.iter, "__counted", [], [], None, None)
    _rewrite_joins(tree)
    return tree


def _rewrite_joins(node: nodes.Node) -> None:
    for field, value in node.iter_fields():
        if isinstance(value, list):
            setattr(node, field, [_without_join(v) if isinstance(v, nodes.Node) else v for v in value])
        elif isinstance(value, nodes.Node):
            setattr(node, field, _without_join(value))


def _without_join(node: nodes.Node) -> nodes.Node:
    _rewrite_joins(node)
    if not isinstance(node, nodes.Concat):
        return node
    return nodes.Filter(node.nodes[0], "__joined", node.nodes[1:], [], None, None, lineno=node.lineno)


def _joined(first: Any, *rest: Any) -> str:
    parts, total = [], 0
    for part in (first, *rest):
        parts.append(str(part))
        total += len(parts[-1])
        if total > MOST_TEXT:
            raise BoundsExceeded(f"a text of more than {MOST_TEXT:,} characters")
    return "".join(parts)


def _check_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        sized = isinstance(one, (str, bytes, list, tuple))
        if sized and isinstance(other, int) and len(one) * other > MOST_TEXT:
            raise BoundsExceeded(f"a repetition of more than {MOST_TEXT:,} entries")


def _small(value: Any) -> bool:
    return not isinstance(value, int) or abs(value) < 64


def _lengthened(owner: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """``str.replace`` and ``str.join`` are used by real templates; the rest are refused."""
    if name == "replace" and not kwargs and 2 <= len(args) <= 3:
        return _replace(owner, *args)
    if name == "join" and not kwargs and len(args) == 1:
        return _joined("", *(part for item in args[0] for part in (owner, str(item))))[len(owner) :]
    raise SecurityError(f"the method {name} is not rendered")


def _replace(text: Any, old: Any, new: Any, count: int | None = None) -> str:
    whole, sought, put = str(text), str(old), str(new)
    times = whole.count(sought)
    if count is not None and count >= 0:
        times = min(times, count)
    if len(whole) + times * max(0, len(put) - len(sought)) > MOST_TEXT:
        raise BoundsExceeded(f"a text of more than {MOST_TEXT:,} characters")
    return whole.replace(sought, put, -1 if count is None else count)


def _indent(text: Any, width: int = 4, first: bool = False, blank: bool = False) -> str:
    if not isinstance(width, int) or not 0 <= width <= 64:
        raise BoundsExceeded("an indent of extreme width")
    lines = str(text).splitlines(keepends=True)
    out = [
        (" " * width if (k or first) and (blank or line.strip()) else "") + line
        for k, line in enumerate(lines)
    ]
    return str(bounded("".join(out)))


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **_: Any) -> str:
    if indent is not None and not (isinstance(indent, int) and 0 <= indent <= 16):
        raise BoundsExceeded("an indent of extreme width")
    try:
        return str(bounded(json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)))
    except (TypeError, ValueError) as error:
        raise TemplateError(f"not written as JSON: {error}") from None


def _refuse(message: Any = "") -> NoReturn:
    raise Refused(str(message)[:300])


def _range(*args: int) -> range:
    made = range(*args)
    if len(made) > MOST_RANGE:
        raise BoundsExceeded(f"a range of more than {MOST_RANGE:,}")
    return made


def _strftime(_format: Any = "") -> str:
    return FIXED_DATE
