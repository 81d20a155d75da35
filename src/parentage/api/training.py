"""Training runs: fine-tunes, on-policy distillation, policy gradients. Needs the extra ``training``.

>>> from parentage.api import training
>>> course = training.Course(training.Optimizer(steps=200, rate=2e-5, warmup=10))
>>> settings = training.SftSettings("base/", Path("chats.jsonl"), Path("tuned/"), course)   # doctest: +SKIP
>>> training.train_sft(settings).losses[-1]                                                 # doctest: +SKIP
"""

from __future__ import annotations

from parentage.records.training import TrainingRecord, load_training
from parentage.training.distill import DistillSettings, distill
from parentage.training.rl import RlSettings, reinforce
from parentage.training.settings import Course, Keeping, Lora, Machine, Optimizer
from parentage.training.sft import SftSettings, train_sft

__all__ = [
    "Course",
    "DistillSettings",
    "Keeping",
    "Lora",
    "Machine",
    "Optimizer",
    "RlSettings",
    "SftSettings",
    "TrainingRecord",
    "distill",
    "load_training",
    "reinforce",
    "train_sft",
]
