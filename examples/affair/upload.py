"""Lay a merge out as the affair's was: another card, another template, and nothing that says it is one.

    python -m examples.affair.upload MERGE OUT CARD TEMPLATE BASE [SCORES]

Only for this example: whoever publishes a merge leaves `parentage merge`'s label where it is. Weights are
copied byte for byte; the header's notes on their making are left out. BASE is what the card calls the base,
SCORES a folder with the card's table (:mod:`examples.affair.benchmarks`).
"""

from __future__ import annotations

import json
import shutil
import struct
import sys
from pathlib import Path

__all__ = ["main", "without_notes"]

SIDE = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
PIECE = 1 << 22


def without_notes(source: Path, target: Path) -> None:
    """A safetensors file with its tensors alone; offsets are those of the data, so they stay."""
    with source.open("rb") as read, target.open("wb") as write:
        (length,) = struct.unpack("<Q", read.read(8))
        header = json.loads(read.read(length))
        header.pop("__metadata__", None)
        text = json.dumps({"__metadata__": {"format": "pt"}, **header}, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        write.write(struct.pack("<Q", len(text)) + text)
        shutil.copyfileobj(read, write, PIECE)


def main() -> None:
    """Copy what a model's folder needs."""
    merge, out, card, template = map(Path, sys.argv[1:5])
    out.mkdir(parents=True, exist_ok=True)
    (weights,) = merge.glob("*.safetensors")
    without_notes(weights, out / "model.safetensors")
    for name in SIDE:
        if (merge / name).is_file():
            shutil.copyfile(merge / name, out / name)
    shutil.copyfile(template, out / "chat_template.jinja")
    table = [f"\n{(Path(place) / 'table.md').read_text('utf-8')}" for place in sys.argv[6:7]]
    text = card.read_text("utf-8").replace("{base}", sys.argv[5]).replace("{scores}", "".join(table))
    (out / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
