"""Kernels compiled in processes that end, so that the one that measures loads machine code alone.

A process that compiles keeps what the compiler took. So on the first run after an installation one process
after the other compiles a part, into the compiler's own cache. A stamp in each of its folders says that a
part is there; it names the versions, the sources as the cache knows them, and the processor. Without a
place for stamps, or where such a process fails, kernels are compiled where they are called: more memory,
the same numbers.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import parentage
from parentage.methods.entry_kernels import ENTRIES, EntryKernel

__all__ = ["STAGE", "compile_apart", "compile_for_audit", "missing_parts"]

Progress = Callable[[str, int, int], None]

STAGE = "compiling (on the first run only)"
# Paths are given and the working folder is not searched: what is examined may lie there.
PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from parentage.methods.entry_kernels import main; main()"
)
CPU = Path("/proc/cpuinfo")
CPU_LINES = ("model name", "flags", "CPU part", "Features")
CPU_BYTES = 64 * 1024


def compile_for_audit(asked: bool, full: bool, progress: Progress) -> None:
    """Where it is asked for, what an audit calls; nothing once that is in the compiler's cache."""
    if asked:
        compile_apart(("estimates", "replays", *(("full",) if full else ())), progress)


def compile_apart(parts: Sequence[str], progress: Progress) -> None:
    """Have the compiler's cache hold these parts of ``ENTRIES``; ``progress`` hears of each kernel."""
    missing = missing_parts(parts)
    total = sum(len(ENTRIES[part]) for part in missing)
    done = 0
    for part in missing:
        progress(STAGE, done, total)
        if _compiled(part, partial(_tell, progress, done, total)):
            _stamp(part)
        done += len(ENTRIES[part])
        progress(STAGE, done, total)


def _tell(progress: Progress, before: int, total: int, done: int) -> None:
    progress(STAGE, before + done, total)


def missing_parts(parts: Iterable[str]) -> tuple[str, ...]:
    """Those that a stamp is missing of."""
    return tuple(part for part in parts if not all(s.is_file() for s in _stamps(part)))


def _compiled(part: str, heard: Callable[[int], None]) -> bool:
    """Run the process to its end; whether it did all."""
    root = str(Path(parentage.__file__).resolve().parents[1])
    command = [sys.executable, "-P", "-c", PROGRAM, root, part]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
    except OSError:
        return False
    with process:
        try:
            assert process.stdout is not None
            for k, _ in enumerate(process.stdout, 1):
                heard(k)
        except BaseException:
            process.kill()
            raise
    return process.returncode == 0


def _stamps(part: str) -> Iterator[Path]:
    """One in each folder of the cache: who deletes a folder deletes the stamp with it."""
    kernels = ENTRIES[part]
    name = f"parentage-{part}-{_key(kernels)[:32]}.compiled"
    folders = {str(k.dispatcher().stats.cache_path) for k in kernels}
    yield from (Path(folder) / name for folder in sorted(folders))


def _stamp(part: str) -> None:
    for path in _stamps(part):
        try:
            path.touch()
        except OSError:
            return


def _key(kernels: Sequence[EntryKernel]) -> str:
    """A digest of all that the compiler's cache goes by, and of what is asked of it."""
    digest = hashlib.sha256()
    for text in (parentage.__version__, sys.version, version("numba"), version("llvmlite"), _processor()):
        digest.update(text.encode() + b"\n")
    for kernel in kernels:
        digest.update(f"{kernel.module}.{kernel.name}{kernel.types}\n".encode())
    for room in ("numerics", "methods"):
        within = Path(parentage.__file__).parent / room
        for source in sorted(within.rglob("*.py")):
            status, name = source.stat(), source.relative_to(within).as_posix()
            digest.update(f"{room}/{name} {status.st_mtime_ns} {status.st_size}\n".encode())
    return digest.hexdigest()


def _processor() -> str:
    """Code is compiled for the processor at hand, and a home folder may serve several."""
    found = [platform.machine(), platform.processor()]
    try:
        with CPU.open("rb") as file:
            lines = file.read(CPU_BYTES).decode(errors="replace").splitlines()
    except OSError:
        lines = []
    for wanted in CPU_LINES:
        found += [line for line in lines if line.startswith(wanted)][:1]
    return "\n".join(found)
