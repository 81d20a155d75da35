"""Words and numbers as every renderer shows them: plain, exact, and safe to print.

A number is never rounded towards the stronger claim: a match below 1 is never shown as 1.000000,
and the ends of an interval are rounded outwards.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Final

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate

__all__ = [
    "bits_text",
    "bound_text",
    "bytes_text",
    "clipped",
    "count_text",
    "estimate_text",
    "interval_text",
    "is_open",
    "level_text",
    "match_text",
    "plain",
    "relation_words",
    "setting_words",
    "share_text",
    "size_text",
    "status_words",
    "visible",
]

# Wider than a tenth, an interval holds several weights that a merger may have meant.
WIDEST: Final = 0.1
# Escapes, bidirectional overrides, zero-width and private characters, lone surrogates, line ends,
# marks that enclose what stands before: all of them can make a name look like another or reach a
# terminal as a command.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Me"})
# Letters written from right to left, and their digits, reorder the weights that stand beside them.
_REORDERING = frozenset({"R", "AL", "AN"})
# Letters and symbols that show nothing, and selectors that alter the character before them.
_INVISIBLE = frozenset(
    {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
    | set(range(0xFE00, 0xFE10))
    | set(range(0xE0100, 0xE01F0))
)


def visible(text: object) -> str:
    """The text with every character that hides or reorders others written as its escape."""
    words = str(text)
    if words.isascii() and words.isprintable():
        return words
    return "".join(_seen(c) for c in words)


def _is_plain(character: str) -> bool:
    return (
        unicodedata.category(character) not in _HIDDEN_CATEGORIES
        and unicodedata.bidirectional(character) not in _REORDERING
        and ord(character) not in _INVISIBLE
    )


def _seen(character: str) -> str:
    if _is_plain(character):
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def clipped(text: object, limit: int = 120) -> str:
    """Visible, at most ``limit`` long: the middle gives way, for the ends tell names apart."""
    seen = visible(text)
    if len(seen) <= limit:
        return seen
    head = (limit - 1) // 2
    return f"{seen[:head]}…{seen[-(limit - 1 - head) :]}"


_RELATIONS: Final[Mapping[str, str]] = {
    "copy": "a copy",
    "cast-copy": "a copy in another number format",
    "quantized-copy": "a quantised copy",
    "linear-merge": "a linear merge",
    "slerp-merge": "a spherical (slerp) merge",
    "task-arithmetic-merge": "a task-arithmetic merge",
    "ties-merge": "a TIES merge",
    "dare-merge": "a DARE merge",
    "della-merge": "a DELLA merge",
    "breadcrumbs-merge": "a breadcrumbs merge",
    "model-stock-merge": "a model-stock merge",
    "sce-merge": "an SCE merge",
    "arcee-fusion-merge": "an Arcee-fusion merge",
    "nearswap-merge": "a nearswap merge",
    "spherical-merge": "a spherical merge",
    "mixed-merge": "a merge with different rules in different parts",
    "passthrough-merge": "layers stacked or taken over whole",
    "adapter-fine-tune": "a fine-tune through an adapter",
    "abliteration": "an abliterated model",
    "upcycled-moe": "an upcycled mixture of experts",
    "fine-tune": "a fine-tune",
    "same-run-checkpoint": "a checkpoint of the same training run",
    "shared-ancestor": "a relative through a shared ancestor",
    "independent": "an independent model",
    "undetermined": "undetermined",
}

_STATUSES: Final[Mapping[str, str]] = {
    "supported": "Supported by the evidence",
    "contradicted": "Contradicted by the evidence",
    "undetermined": "Undetermined",
    "detected": "Detected",
    "not-detected": "Not detected",
}


def relation_words(relation: str) -> str:
    """A relation id in plain words; an id that this version does not know stays as it is."""
    return _RELATIONS.get(relation, visible(relation).replace("-", " "))


def status_words(status: str) -> str:
    """A status as a reader would say it."""
    return _STATUSES.get(status, visible(status))


_SETTINGS: Final[Mapping[str, str]] = {
    "cast": "parents first cast to",
    "digests": "inputs hashed",
    "full": "every number replayed",
    "label": "ratio",
    "sample": "numbers a tensor",
}


def setting_words(key: str) -> str:
    """A setting's or a parameter's name as a reader would say it."""
    return _SETTINGS.get(key, visible(key).replace("_", " "))


def plain(value: object, missing: str = "not measured") -> str:
    """Any scalar of a report as text; ``Absent`` gives its reason in brackets."""
    if isinstance(value, Absent):
        return f"{missing} ({visible(value.reason)})"
    if isinstance(value, Estimate):
        return f"{estimate_text(value)} {interval_text(value)}"
    if isinstance(value, (list, tuple)):
        return ", ".join(plain(v) for v in value)
    return _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count_text(value)
    return f"{value:.6g}" if isinstance(value, float) else visible(value)


def count_text(count: int) -> str:
    """Thousands apart."""
    return f"{count:,}"


def bytes_text(size: int) -> str:
    """Decimal units, as disks are sold and models are listed."""
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            return f"{size} bytes" if unit == "bytes" else f"{amount:.3g} {unit}"
        amount /= 1000
    raise AssertionError("unreachable: the loop returns at its last unit")


def match_text(match: float) -> str:
    """A share of equal bits; 1.000000 only when every element is equal."""
    if match >= 1.0:
        return "1.000000"
    # Cut, not rounded: one element off in ten million must not read as all.
    return f"{math.floor(match * 1e6) / 1e6:.6f}"


def share_text(share: float) -> str:
    """A percentage; 100 % and 0 % only when exact."""
    percent = share * 100
    if percent in (0.0, 100.0):
        return f"{percent:.0f} %"
    if percent > 99.99:
        return "more than 99.99 %"
    if percent < 0.01:
        return f"{percent:.1g} %"
    return f"{percent:.2f} %" if percent < 1 or percent > 99 else f"{percent:.1f} %"


def bound_text(share: float) -> str:
    """An upper bound as a percentage, rounded up to two figures."""
    percent = share * 100
    if percent <= 0:
        return "0 %"
    if percent >= 100:
        return "100 %"
    unit = 10.0 ** (math.floor(math.log10(percent)) - 1)
    raised = math.ceil(percent / unit - 1e-9) * unit
    digits = max(0, -math.floor(math.log10(unit)))
    return f"{raised:.{digits}f} %"


def size_text(value: float) -> str:
    """A relative size such as σ, to three figures."""
    return f"{value:.3g}"


def bits_text(bits: float) -> str:
    """Bits per weight; 0.000 only when nothing is left to explain."""
    if bits == 0:
        return "0.000"
    return f"{bits:.3f}" if bits >= 0.0005 else f"{bits:.1e}"


def _digits(estimate: Estimate) -> int:
    width = estimate.high - estimate.low
    if not math.isfinite(width) or width <= 0:
        return 6
    return min(9, max(2, 1 - math.floor(math.log10(width))))


def is_open(estimate: Estimate) -> bool:
    """Whether the interval is so wide that a point in it would say more than was measured: vectors of a few
    numbers that are one step apart leave a weight anywhere from ½ to ¾, or to 1.5."""
    return estimate.high - estimate.low > WIDEST


def estimate_text(estimate: Estimate) -> str:
    """The number to as many digits as its interval carries; an exact one without padding."""
    if estimate.low == estimate.high:
        return f"{estimate.estimate:.6g}"
    return f"{estimate.estimate:.{_digits(estimate)}f}"


def interval_text(estimate: Estimate) -> str:
    """``[low, high]``, rounded outwards."""
    if estimate.low == estimate.high:
        return "(exact)"
    digits = _digits(estimate)
    unit = 10.0**digits
    low = math.floor(estimate.low * unit + 1e-6) / unit
    high = math.ceil(estimate.high * unit - 1e-6) / unit
    return f"[{low:.{digits}f}, {high:.{digits}f}]"


def level_text(estimate: Estimate) -> str:
    """What the interval promises."""
    if estimate.level >= 1.0:
        return "every value outside is impossible"
    return f"{estimate.level * 100:.3g} % confidence"
