"""Amounts as people write them: ``100MB``, ``1.5 GiB``."""

from __future__ import annotations

import re

from parentage.errors import UsageError

__all__ = ["parse_bytes"]

AMOUNT = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*(b|[kmgt]i?b)?", re.IGNORECASE | re.ASCII)
UNITS = {"k": 1, "m": 2, "g": 3, "t": 4}


def parse_bytes(text: str, option: str) -> int:
    """Bytes of ``100MB`` (10⁶ each), ``100MiB`` (2²⁰ each) or ``100``.

    Raises ``UsageError`` (``usage-amount``), naming ``option``.
    """
    found = AMOUNT.fullmatch(text.strip())
    if found is None:
        raise UsageError(
            f"{option} {text}: no amount of bytes",
            code="usage-amount",
            hint="a number with kB, MB, GB, KiB, MiB, GiB or nothing, such as 100MB",
        )
    unit = (found[2] or "b").lower()
    size = (1024 if "i" in unit else 1000) ** UNITS.get(unit[0], 0)
    return int(float(found[1]) * size) if "." in found[1] else int(found[1]) * size
