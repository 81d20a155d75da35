"""How fast a merge is: ratios to a raw copy of the same bytes, and to mergekit, in one run.

    python benchmarks/merge.py --layers 4 [--method ties] [--mergekit PYTHON] [--folder DIR]

Two models of one size are made, and for TIES a base, then, in turns and as often as ``--rounds`` says:

- *raw*: a process that reads both files and writes one of them, flushed to the disk; nothing is computed.
- *raw, hashed*: the same on three threads, with the SHA-256 of all three files taken on the way, as a merge
  that says what it was made of must.
- *ours*: ``parentage merge`` as a user calls it: start, parents and output hashed, written in place,
  flushed. *ours, parents not hashed*: the same with ``--no-digests``.
- *ours, mergekit's arithmetic*: the same with ``--profile mergekit-0.1.5``, every bit as it makes them.
- *mergekit*: ``mergekit-yaml`` of the environment that is named, on the same recipe.

Each is run twice in a row, and the second run counts: on a virtual machine whose host takes free memory
back, whoever comes after another pays for the pages that it uses otherwise (a raw copy .8 s after itself,
2.4 to 3.9 s after a merge). Medians go to standard output; ``times raw`` is the median of each round's own
ratio, so that what else runs on the machine weighs on both sides. Peak memory is the process's own.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

WIDTH, INNER, VOCABULARY = 2048, 5632, 32_000
PROGRAM = "from parentage.cli.main import main; main()"
# As Python is by default: modules are kept compiled, which an environment for development may forbid.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
RAW = """
import os, sys
first, second, out = sys.argv[1:]
size = 4 << 20
with open(first, "rb", 0) as a, open(second, "rb", 0) as b, open(out, "wb", 0) as c:
    while block := a.read(size):
        b.read(size)
        c.write(block)
    os.fsync(c.fileno())
"""
HASHED = """
import hashlib, os, sys
from queue import Queue
from threading import Thread
first, second, out = sys.argv[1:]
size = 4 << 20
def hashed(blocks):
    total = hashlib.sha256()
    while block := blocks.get():
        total.update(block)
queues = [Queue(8) for _ in range(3)]
threads = [Thread(target=hashed, args=(q,)) for q in queues]
for thread in threads:
    thread.start()
with open(first, "rb", 0) as a, open(second, "rb", 0) as b, open(out, "wb", 0) as c:
    while block := a.read(size):
        queues[0].put(block)
        queues[1].put(b.read(size))
        c.write(block)
        queues[2].put(block)
    os.fsync(c.fileno())
for queue in queues:
    queue.put(None)
for thread in threads:
    thread.join()
"""


def shapes(layers: int) -> dict[str, tuple[int, ...]]:
    """All tensors of a Llama, which mergekit asks for."""
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (VOCABULARY, WIDTH)}
    for k in range(layers):
        own = f"model.layers.{k}."
        found |= {f"{own}self_attn.{p}_proj.weight": (WIDTH, WIDTH) for p in "qkvo"}
        found |= {f"{own}mlp.{p}_proj.weight": (INNER, WIDTH) for p in ("gate", "up")}
        found[f"{own}mlp.down_proj.weight"] = (WIDTH, INNER)
        found |= {f"{own}{n}_layernorm.weight": (WIDTH,) for n in ("input", "post_attention")}
    return {**found, "model.norm.weight": (WIDTH,), "lm_head.weight": (VOCABULARY, WIDTH)}


def write_model(folder: Path, layers: int, seed: int) -> int:
    """A Llama in bfloat16 with random weights; the bytes of its tensors."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    table, position = dict[str, object](), 0
    for name, shape in shapes(layers).items():
        size = 2 * math.prod(shape)
        table[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [position, position + size]}
        position += size
    text = json.dumps({"__metadata__": {"format": "pt"}, **table}).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in shapes(layers).values():
            values = rng.normal(0, 0.02, math.prod(shape)).astype(np.float32)
            file.write((values.view(np.uint32) >> np.uint32(16)).astype(np.uint16).tobytes())
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "num_hidden_layers": layers,
        "hidden_size": WIDTH,
        "intermediate_size": INNER,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "vocab_size": VOCABULARY,
        "tie_word_embeddings": False,
    }
    (folder / "config.json").write_text(json.dumps(config))
    return position


def timed(command: list[str]) -> tuple[float, float, float]:
    """Seconds, seconds of the processor, and peak memory in MiB; ends when the command fails."""
    before = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(errors.decode()[-2000:])
    return time.perf_counter() - before, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def contenders(folder: Path, mergekit: Path | None) -> dict[str, Callable[[], list[str]]]:
    """Commands by name; each writes to a folder of its own, which is cleared before."""
    files = [str(folder / name / "model.safetensors") for name in ("a", "b")]
    recipe, out = str(folder / "recipe.yaml"), folder / "out"

    def fresh(*command: str) -> Callable[[], list[str]]:
        def prepared() -> list[str]:
            shutil.rmtree(out, ignore_errors=True)
            (folder / "copy").unlink(missing_ok=True)
            return list(command)

        return prepared

    found = {
        "raw": fresh(sys.executable, "-c", RAW, *files, str(folder / "copy")),
        "raw, hashed": fresh(sys.executable, "-c", HASHED, *files, str(folder / "copy")),
        "ours": fresh(sys.executable, "-c", PROGRAM, "merge", recipe, str(out)),
        "ours, parents not hashed": fresh(
            sys.executable, "-c", PROGRAM, "merge", recipe, str(out), "--no-digests"
        ),
        "ours, mergekit's arithmetic": fresh(
            sys.executable, "-c", PROGRAM, "merge", recipe, str(out), "--profile", "mergekit-0.1.5"
        ),
    }
    if mergekit is not None:
        script = "import sys; from mergekit.scripts.run_yaml import main; sys.exit(main())"
        found["mergekit"] = fresh(str(mergekit), "-c", script, recipe, str(out), "--no-copy-tokenizer")
    return found


def recipe_text(folder: Path, method: str) -> str:
    """Linear, 0.6 and 0.4; or TIES at density 0.5 over a base."""
    lines = [f"merge_method: {method}", "dtype: bfloat16"]
    if method != "linear":
        lines += [f"base_model: {folder / 'o'}", "parameters: {density: 0.5}"]
    lines.append("models:")
    for name, weight in (("a", 0.6), ("b", 0.4)):
        lines.append(f"- {{model: {folder / name}, parameters: {{weight: {weight}}}}}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make the models, run all in turns, print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=4, help="103 MB each, and 262 MB of embeddings")
    parser.add_argument("--method", default="linear", choices=["linear", "ties"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mergekit", type=Path, help="the Python of an environment that has mergekit")
    parser.add_argument("--only", nargs="+", default=[], help="these alone, beside the raw copy")
    parser.add_argument("--folder", type=Path, help="where the files are made; a temporary folder")
    options = parser.parse_args()
    with TemporaryDirectory(dir=options.folder) as place:
        folder = Path(place)
        # In a process of its own: a child's peak counts what its parent held when it was started.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            wanted = "ab" if options.method == "linear" else "abo"
            parts = [pool.submit(write_model, folder / m, options.layers, k) for k, m in enumerate(wanted)]
            nbytes = max(part.result() for part in parts)
        (folder / "recipe.yaml").write_text(recipe_text(folder, options.method))
        runs = contenders(folder, options.mergekit)
        if options.only:
            runs = {name: run for name, run in runs.items() if name in ("raw", *options.only)}
        for command in runs.values():
            timed(command())  # compiled code and the page cache are warm afterwards
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        busy: dict[str, list[float]] = {name: [] for name in runs}
        peaks: dict[str, float] = dict.fromkeys(runs, 0.0)
        for _ in range(options.rounds):
            for name, command in runs.items():
                timed(command())
                taken, processor, peak = timed(command())
                seconds[name].append(taken)
                busy[name].append(processor)
                peaks[name] = max(peaks[name], peak)
    _table(seconds, busy, peaks, nbytes)


def _table(
    seconds: dict[str, list[float]], busy: dict[str, list[float]], peaks: dict[str, float], nbytes: int
) -> None:
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{nbytes / 1e9:.2f} GB a model, {cores} cores, load {load:.1f}")
    print("| what | median s | least s | times raw | processor s | peak MiB |")
    print("|---|---|---|---|---|---|")
    for name, taken in seconds.items():
        middle = statistics.median(taken)
        ratio = statistics.median(own / raw for own, raw in zip(taken, seconds["raw"], strict=True))
        row = (f"{middle:.2f}", f"{min(taken):.2f}", f"{ratio:.2f}")
        used = (f"{statistics.median(busy[name]):.2f}", f"{peaks[name]:.0f}")
        print("| " + " | ".join((name, *row, *used)) + " |")


if __name__ == "__main__":
    main()
