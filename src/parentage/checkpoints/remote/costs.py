"""What reading costs over a network, told from headers alone: the same whatever is cached already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from parentage.checkpoints.checkpoint import Checkpoint, Slices, spans_of
from parentage.checkpoints.remote.extents import Extents, Memory, missing_pieces

__all__ = ["Cost", "opening_cost", "ranges_cost", "reading_cost"]

# The first read of a weight file (range_files.PREFIX).
PREFIX = 32 * 2**10
# A listing's JSON, of some 300 bytes a file, and the headers of an index.
PER_FILE = 400
PER_TENSOR = 160
# Card, config and recipe are read where they are there, each with its location.
READ_BESIDE = ("README.md", "config.json", "mergekit_config.yml")
MOST_BESIDE = 4 * 2**20
# A place that lists nothing is asked for an index and for seventeen usual names (http_place.ASKED_FOR).
WITHOUT_LISTING = 18


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes of bodies and requests."""

    nbytes: int
    requests: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.nbytes + other.nbytes, self.requests + other.requests)


def opening_cost(checkpoint: Checkpoint) -> Cost:
    """Listing, locations, headers and side files, as a model takes that is opened for the first time;
    nothing for a local one. Listing and index are estimated from the numbers of files and tensors."""
    if not checkpoint.remote:
        return Cost(0, 0)
    nbytes = PER_FILE * len(checkpoint.shards)
    requests = WITHOUT_LISTING if checkpoint.revision is None else 1
    for shard in checkpoint.shards:
        header = min(shard.size, max(PREFIX, shard.header_bytes))
        nbytes += header
        # Its location, its beginning, and the rest of a long header.
        requests += 2 + (header > PREFIX)
    if checkpoint.folder.weight_map is not None:
        nbytes, requests = nbytes + PER_TENSOR * len(checkpoint.tensors), requests + 1
    for name in READ_BESIDE:
        if name in checkpoint.folder.side_files:
            nbytes += min(checkpoint.folder.side_files[name] or 0, MOST_BESIDE)
            requests += 1
    return Cost(nbytes, requests)


def reading_cost(checkpoint: Checkpoint, slices: Sequence[Slices]) -> Cost:
    """All of ``slices`` asked for together: near ones are one request, large ones several."""
    return ranges_cost(checkpoint, slices) if checkpoint.remote else Cost(0, 0)


def ranges_cost(checkpoint: Checkpoint, slices: Sequence[Slices]) -> Cost:
    """The same of any model, as though it lay on a network."""
    sizes = {shard.name: shard.size for shard in checkpoint.shards}
    nothing = Extents(Memory(0), None)
    total = Cost(0, 0)
    for name, spans in spans_of(slices).items():
        if name not in sizes:
            continue  # decoded when the model was opened, and held in memory
        pieces = missing_pieces(nothing, spans, sizes[name])
        total += Cost(sum(end - start for start, end in pieces), len(pieces))
    return total
