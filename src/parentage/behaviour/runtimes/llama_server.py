"""The process that runs llama.cpp: it serves one GGUF file on a free port of loopback until its input ends.

A runtime reads a hostile file in native code; here it can take no more than this process with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any

__all__ = ["main", "serve"]


def serve(path: str, context: int, threads: int) -> Any:
    """A server that has loaded the model; it ends with the object that is returned."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.port = 0
    parameters.n_ctx = context
    parameters.n_parallel = 1
    parameters.n_gpu_layers = 0
    parameters.cpuparams.n_threads = threads
    parameters.warmup = False
    parameters.verbosity = -1
    return xllamacpp.Server(parameters)


def main() -> None:
    """Serve, write the address as one line of JSON, wait for the end of standard input."""
    path, context, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # What llama.cpp prints of a file is the file's own words; the only line on our output is the address.
    answers = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    try:
        server = serve(path, context, threads)
    except (ImportError, RuntimeError, ValueError, OSError) as error:
        line = {"missing" if isinstance(error, ImportError) else "failed": str(error)[:300]}
    else:
        line = {"address": server.listening_address}
    os.write(answers, json.dumps(line).encode() + b"\n")
    with contextlib.suppress(KeyboardInterrupt):
        sys.stdin.buffer.read()
    # llama.cpp's threads need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
