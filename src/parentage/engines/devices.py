"""What counts in a full pass: the processor's cores, or a GPU through torch (extra ``torch``)."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from parentage.engines.engine import Engine
from parentage.errors import UsageError

__all__ = ["CPU", "DEVICES", "check_device"]

CPU: Final = "cpu"
DEVICES: Final = (CPU, "cuda")


def check_device(name: str, engine: Engine | None) -> None:
    """Refuse now what would fail after the sampled pass; raises ``UsageError`` (``usage-device``)."""
    if name not in DEVICES:
        raise _refused(f"there is no device {name!r}", "one of " + ", ".join(DEVICES))
    if name == CPU:
        return
    if engine is not None and engine.remote:
        raise _refused(
            "workers on a cluster count on processors", "go without --device, or without --engine ray"
        )
    try:
        torch = import_module("torch")
    except ImportError:
        raise _refused(
            "the device cuda needs the package torch", 'pip install "parentage[torch]"'
        ) from None
    if not torch.cuda.is_available():
        raise _refused("torch finds no GPU here", "go without --device; the numbers are the same")


def _refused(message: str, hint: str) -> UsageError:
    return UsageError(message, code="usage-device", hint=hint)
