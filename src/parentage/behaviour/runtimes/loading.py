"""A folder of a model through transformers: no code of the model's, no network, safetensors alone."""

from __future__ import annotations

import os
from typing import Any

from parentage.errors import RuntimeModelError, UsageError

__all__ = ["load_model"]


def load_model(locator: str) -> tuple[Any, Any]:
    """The model in float32 and its tokenizer.

    Raises ``UsageError`` (``runtime-missing``) without the extra, ``RuntimeModelError`` (``runtime-load``).
    """
    try:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging
    except ImportError as error:
        raise UsageError(
            f"running a model from a folder needs the extra transformers: {error}",
            code="runtime-missing",
            where=locator,
            hint="pip install 'parentage[transformers]', or serve it and name the address",
        ) from None
    if not os.path.isdir(locator):
        raise _not_loaded(locator, "there is no such folder")
    # Bars and reminders of its own would stand between our lines.
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    # Nothing is to be fetched, and no code of the model's to be run.
    kept = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(locator, **kept)
        model = AutoModelForCausalLM.from_pretrained(
            locator, dtype=torch.float32, use_safetensors=True, **kept
        ).eval()
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, AttributeError, TypeError) as error:
        raise _not_loaded(locator, f"{type(error).__name__}: {error}"[:300]) from None
    return model, tokenizer


def _not_loaded(path: str, why: str) -> RuntimeModelError:
    return RuntimeModelError(
        f"the model was not loaded: {why}", code="runtime-load", where=path, hint="check the folder"
    )
