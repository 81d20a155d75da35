"""What trainings are known to leave in a model's numbers, to set a report's own figure beside.

For orientation only: a share of changed numbers depends on the number format, on the learning rate
and on the length of the run, and no verdict rests on these.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["MEASURED", "MEASURED_SOURCE", "PUBLISHED", "PUBLISHED_SOURCE", "Reference"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A training, the share of bf16 numbers that it changed, and its size.

    ``sigma_relative``: root mean square of the change over the spread of the weights; None where it
    was not published. ``files``: the two fixtures that the figures were measured on, before and after.
    """

    label: str
    changed_share: float
    sigma_relative: float | None = None
    files: tuple[str, str] | None = None


# Shares unchanged of 8, 52 and 77 %.
PUBLISHED: Final[tuple[Reference, ...]] = (
    Reference("Supervised fine-tuning", 0.92),
    Reference("On-policy distillation", 0.48),
    Reference("Reinforcement learning (RLVR)", 0.23),
)
PUBLISHED_SOURCE: Final = (
    "Published, second-hand: arXiv 2606.07082, for Qwen3-8B stored in bf16, says that supervised "
    "fine-tuning leaves 8 %, on-policy distillation 52 % and reinforcement learning with verifiable "
    "rewards 77 % of the weights unchanged; very short runs change about 1 %. On-policy distillation "
    "itself: arXiv 2306.13649."
)

# Measured on the committed fixtures; a test measures them again from the files.
MEASURED: Final[tuple[Reference, ...]] = (
    Reference(
        "A fine-tune of 400 steps (test model)",
        0.9153,
        0.0219,
        ("training-run/base", "training-run/end"),
    ),
    Reference(
        "30 steps after a merge (test model)",
        0.8240,
        0.0060,
        ("training-run/merge", "training-run/merge-trained-30"),
    ),
    Reference(
        "A published fine-tune of MiniLM (corners)",
        0.7201,
        0.0107,
        ("mergekit/O", "mergekit/A"),
    ),
    Reference(
        "80 steps at a tenth of that rate (test model)",
        0.1634,
        0.00048,
        ("training-run/merge", "training-run/merge-trained-alike-lightly"),
    ),
    Reference(
        "A LoRA adapter of rank 4, merged (corners)",
        0.1439,
        0.00225,
        ("mergekit/O", "peft/lora-merged"),
    ),
)
MEASURED_SOURCE: Final = (
    "Measured by this project on the models that its tests are made of: a small language model of 123,264 "
    "numbers and corners of MiniLM's matrices, all stored in bf16."
)
