"""Names that licence files have: licences themselves, notices, terms and policies of use."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

__all__ = ["USUAL_LICENCES", "is_licence_file"]

_FILE: Final = re.compile(
    r"(([\w-]{1,60}[-_ ])?(un)?licen[cs]\w{0,40}|copying|notices?|use[-_ ]?policy|terms)([-_. (].{0,200})?",
    re.ASCII | re.I,
)
# ``license_check.py`` and ``terms.json`` are no licences, and a licence as a picture cannot be read.
_NO_TEXT: Final = re.compile(
    r"\.(bin|ckpt|csv|docx?|gguf|gif|gz|h5|ipynb|jinja|jpe?g|js|jsonl?|lock|log|model|np[yz]|onnx|parquet|pdf|pkl"
    r"|png|pth?|py|safetensors|sh|sig|svg|tar|toml|webp|xml|ya?ml|zip)",
    re.ASCII | re.I,
)
# What a place that lists nothing is asked for; each takes a request, so only the most usual.
USUAL_LICENCES: Final = (
    "LICENSE",
    "LICENSE.txt",
    "LICENSE.md",
    "LICENCE",
    "COPYING",
    "NOTICE",
    "Notice.txt",
    "USE_POLICY.md",
)


def is_licence_file(name: str) -> bool:
    """Whether a file's name, without folders, is one that licences have, in any case of letters."""
    return _FILE.fullmatch(name) is not None and _NO_TEXT.fullmatch(PurePosixPath(name).suffix) is None
