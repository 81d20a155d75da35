"""Engines by name, each imported when it is asked for."""

from __future__ import annotations

from parentage.engines.engine import Engine
from parentage.errors import UsageError

__all__ = ["ENGINES", "choose_engine"]

ENGINES = ("threads", "ray")


def choose_engine(name: str, address: str | None, workers: int) -> Engine | None:
    """The engine of this name; None for threads, which every part of an audit uses anyhow.

    Raises ``UsageError`` (``usage-engine``).
    """
    if name not in ENGINES:
        raise UsageError(
            f"there is no engine {name!r}", code="usage-engine", hint="one of " + ", ".join(ENGINES)
        )
    if name == "ray":
        from parentage.engines.ray_cluster import RayEngine

        return RayEngine(address, workers)
    if address is not None:
        raise UsageError(
            "an address is for an engine on a cluster", code="usage-engine", hint="add --engine ray"
        )
    return None
