"""A model to train: safetensors alone, no code of the model's, no network; and the libraries for it."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np

from parentage.errors import RuntimeModelError, TrainingError, UsageError
from parentage.training.settings import Course, Lora, Machine

__all__ = ["adapted", "libraries", "load", "memory_guard", "need", "prepare", "sow"]

LIBRARIES: Final = ("torch", "transformers", "tokenizers", "safetensors", "peft", "trl", "accelerate")


def need(*names: str) -> None:
    """Raise ``UsageError`` (``training-missing``) unless the libraries can be imported."""
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(
                f"training needs the extra training: {error}",
                code="training-missing",
                hint="pip install 'parentage[training]'",
            ) from None


def libraries() -> dict[str, str]:
    """Versions of what numbers can depend on, by name, of those that are there."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def prepare(machine: Machine) -> Any:
    """Threads, determinism; the device. Raises ``UsageError`` (``training-device``)."""
    import torch

    if machine.device == "cuda" and not torch.cuda.is_available():
        raise UsageError("there is no such device here", code="training-device", hint="--device cpu")
    torch.set_num_threads(machine.threads)
    # Where a kernel has no deterministic form, a run goes on: docs/training.md says what then holds.
    torch.use_deterministic_algorithms(True, warn_only=True)
    return torch.device(machine.device)


def sow(seed: int, step: int) -> None:
    """Every generator from (seed, step): a run that goes on at a step draws what an unbroken one draws."""
    import torch

    drawn = int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> 1)
    torch.manual_seed(drawn)
    random.seed(drawn)
    np.random.seed(drawn % 2**32)


def load(locator: str, machine: Machine) -> tuple[Any, Any]:
    """The model, in the dtype that is trained, and its tokenizer.

    Raises ``RuntimeModelError`` (``training-load``).
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    dtype = torch.bfloat16 if machine.precision == "bf16" else torch.float32
    kept = {"trust_remote_code": False, "local_files_only": True}
    try:
        tokenizer = AutoTokenizer.from_pretrained(locator, **kept)
        model, told = AutoModelForCausalLM.from_pretrained(
            locator, dtype=dtype, use_safetensors=True, output_loading_info=True, **kept
        )
    except (OSError, ValueError, RuntimeError, KeyError, ImportError, AttributeError, TypeError) as error:
        if _is_of_memory(error):
            raise
        raise _not_loaded(locator, f"{type(error).__name__}: {error}"[:300]) from None
    if told["missing_keys"] or told["mismatched_keys"]:
        names = ", ".join(sorted(map(str, (*told["missing_keys"], *told["mismatched_keys"])))[:3])
        raise _not_loaded(locator, f"its files lack {names}, which would begin with random numbers")
    if not tokenizer.is_fast:
        raise _not_loaded(locator, "its tokenizer does not tell which characters a token stands for")
    model.to(machine.device)
    if machine.recompute:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.config.use_cache = False
    return model, tokenizer


def _not_loaded(locator: str, why: str) -> RuntimeModelError:
    return RuntimeModelError(
        f"the model was not loaded: {why}", code="training-load", where=locator, hint="check the folder"
    )


def adapted(model: Any, lora: Lora, seed: int) -> Any:
    """The model with a fresh adapter, whose numbers come from the seed.

    Raises ``UsageError`` (``training-targets``) where no module has the names.
    """
    from peft import LoraConfig, get_peft_model

    sow(seed, 2**62)
    try:
        return get_peft_model(
            model,
            LoraConfig(
                r=lora.rank,
                lora_alpha=lora.alpha or 2 * lora.rank,
                lora_dropout=lora.dropout,
                target_modules=list(lora.targets) or "all-linear",
                task_type="CAUSAL_LM",
            ),
        )
    except ValueError as error:
        raise UsageError(
            f"an adapter does not fit: {error}"[:300],
            code="training-targets",
            hint="name modules of the model, such as q_proj,v_proj",
        ) from None


@contextmanager
def memory_guard(course: Course) -> Iterator[None]:
    """Turn what runs out of memory into ``TrainingError`` (``training-no-memory``)."""
    try:
        yield
    except MemoryError as error:
        raise _no_memory(course, error) from None
    except (RuntimeError, OSError) as error:
        if not _is_of_memory(error):
            raise
        raise _no_memory(course, error) from None


def _is_of_memory(error: Exception) -> bool:
    """torch's own class for the CPU is RuntimeError, and mapping a file gives OSError: the text tells."""
    words = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
    return any(w in str(error).lower() for w in words)


def _no_memory(course: Course, error: Exception) -> TrainingError:
    asked = f"batch {course.optimizer.batch}, max length {course.max_length}"
    return TrainingError(
        f"the memory did not suffice ({asked}): {str(error)[:160]}",
        code="training-no-memory",
        hint="a smaller --batch with more --accumulation, a shorter --max-length, --recompute, --lora-rank",
    )
