"""Merge methods by name, loaded when used. A new one is a file and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Final, cast

from parentage.errors import UsageError
from parentage.methods.method import Method

__all__ = ["METHODS", "method", "names"]

METHODS: Final[Mapping[str, str]] = {
    "linear": "parentage.methods.soup:LINEAR",
    "slerp": "parentage.methods.slerp:SLERP",
    "task_arithmetic": "parentage.methods.task_arithmetic:TASK_ARITHMETIC",
    "ties": "parentage.methods.ties:TIES",
    "dare_linear": "parentage.methods.dare:DARE_LINEAR",
    "dare_ties": "parentage.methods.dare:DARE_TIES",
    "breadcrumbs": "parentage.methods.breadcrumbs:BREADCRUMBS",
    "breadcrumbs_ties": "parentage.methods.breadcrumbs:BREADCRUMBS_TIES",
    "della": "parentage.methods.della:DELLA",
    "della_linear": "parentage.methods.della:DELLA_LINEAR",
    "model_stock": "parentage.methods.model_stock:MODEL_STOCK",
    "nearswap": "parentage.methods.nearswap:NEARSWAP",
    "nuslerp": "parentage.methods.nuslerp:NUSLERP",
    "multislerp": "parentage.methods.multislerp:MULTISLERP",
    "arcee_fusion": "parentage.methods.arcee_fusion:ARCEE_FUSION",
    "karcher": "parentage.methods.karcher:KARCHER",
    "sce": "parentage.methods.sce:SCE",
    "passthrough": "parentage.methods.passthrough:PASSTHROUGH",
    "weighted_sum": "parentage.methods.image_models:WEIGHTED_SUM",
    "add_difference": "parentage.methods.image_models:ADD_DIFFERENCE",
    "lora": "parentage.methods.adapter:LORA",
    "adapter_linear": "parentage.methods.adapters.combinations:LINEAR",
    "adapter_cat": "parentage.methods.adapters.combinations:CAT",
    "adapter_ties": "parentage.methods.adapters.combinations:TIES",
    "adapter_dare_linear": "parentage.methods.adapters.combinations:DARE_LINEAR",
    "adapter_dare_ties": "parentage.methods.adapters.combinations:DARE_TIES",
    "adapter_magnitude_prune": "parentage.methods.adapters.combinations:MAGNITUDE_PRUNE",
    "adapter_svd": "parentage.methods.adapters.combinations:SVD",
    "adapter_ties_svd": "parentage.methods.adapters.combinations:TIES_SVD",
    "adapter_dare_linear_svd": "parentage.methods.adapters.combinations:DARE_LINEAR_SVD",
    "adapter_dare_ties_svd": "parentage.methods.adapters.combinations:DARE_TIES_SVD",
    "adapter_magnitude_prune_svd": "parentage.methods.adapters.combinations:MAGNITUDE_PRUNE_SVD",
    "abliteration": "parentage.methods.abliteration:ABLITERATION",
    "upcycling": "parentage.methods.upcycling:UPCYCLING",
}


def names() -> tuple[str, ...]:
    """Every method's name, in a stable order."""
    return tuple(METHODS)


@cache
def method(name: str) -> Method:
    """The method that recipes call so; raises ``UsageError`` (``method-unknown``)."""
    if name not in METHODS:
        raise UsageError(
            f"no merge method is called {name!r}", code="method-unknown", hint=", ".join(METHODS)
        )
    module, found = METHODS[name].split(":")
    return cast(Method, getattr(import_module(module), found))
