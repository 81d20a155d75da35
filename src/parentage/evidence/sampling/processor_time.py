"""How long an audit will keep a processor busy: an estimate for its plan, by rates that were measured.

Of an AMD EPYC (Zen 4), kernels compiled before; docs/log.md has the runs. Where a first answer does not
settle the question more is looked for, which may take twice as long.
"""

from __future__ import annotations

from collections.abc import Sequence

from parentage.architectures.alignment import AlignedTensor
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.evidence.measure import Options
from parentage.evidence.sampling.positions import plan_sample
from parentage.evidence.sampling.tiles import in_tiles
from parentage.records.plan import PlannedProcessor

__all__ = ["processor_time"]

# Seconds: of a start, of a tensor, and of an examined element of the suspect, with two other models.
START = 1.5
A_TENSOR = 0.12
AN_ELEMENT = 6e-6
# Of what two others cost: what each further one adds, and what one alone costs.
A_MODEL = 0.5
ALONE = 0.2
# Bytes a second of one core: SHA-256, and the full pass over an unchanged merge of bfloat16.
HASHED = 1.5e9
COUNTED = 5e9


def processor_time(
    groups: Sequence[AlignedTensor], checkpoints: Sequence[Checkpoint], options: Options
) -> PlannedProcessor:
    """Of the first stage's measures, of digests of local files, and of a full pass over the models."""
    sampling = in_tiles(options.sampling, groups, checkpoints)
    read = sum(plan_sample(g.name, g.role, g.suspect.shape, sampling).elements for g in groups)
    models = ALONE if len(checkpoints) < 3 else 1 + A_MODEL * (len(checkpoints) - 3)
    local = sum(s.size for c in checkpoints if not c.remote for s in c.shards)
    elements = sum(g.suspect.elements for g in groups)
    width = max((g.suspect.dtype.itemsize for g in groups), default=0)
    return PlannedProcessor(
        measures=START + models * (A_TENSOR * len(groups) + AN_ELEMENT * read),
        digests=local / HASHED if options.digests else 0.0,
        full_pass=elements * width * min(len(checkpoints), 3) / COUNTED if options.full else 0.0,
    )
