"""Did something happen after the blend was stored? Detected only when its rivals are excluded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from parentage.numerics.binomial import clopper_pearson, smallest_detectable_share
from parentage.numerics.pooling import pool
from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.verdicts.tensors import TensorReading, passes_later_change
from parentage.verdicts.weighing import Weighing

__all__ = ["LaterChange", "Stratum", "strata", "weigh_later_change"]

LEVEL = 0.95
