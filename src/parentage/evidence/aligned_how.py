"""How tensors came to be compared, as the evidence keeps it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parentage.architectures.alignment import Alignment
from parentage.architectures.layer_maps import LayersFound
from parentage.records.absence import Absent
from parentage.records.alignment import AlignmentFindings, LayerMap, Layout

__all__ = ["alignment_findings", "alignment_notes"]


def alignment_findings(alignment: Alignment) -> AlignmentFindings:
    """Families, layouts and layer maps, in the order of the models and of the suspect's names."""
    maps = (
        _layer_map(model, found)
        for model, several in enumerate(alignment.layers, start=1)
        for found in several
    )
    return AlignmentFindings(alignment.families, tuple(_layouts(alignment)), tuple(maps))


def _layouts(alignment: Alignment) -> Iterator[Layout]:
    found: dict[tuple[int, str], list[str]] = {}
    for entry in alignment.presented:
        found.setdefault((entry.checkpoint_index, entry.how), []).append(entry.tensor)
    for (model, how), tensors in sorted(found.items()):
        yield Layout(model, how, len(tensors), tensors[0])


def _layer_map(model: int, found: LayersFound) -> LayerMap:
    own = tuple(sorted(found.layers))
    return LayerMap(
        model, found.prefix, own, tuple(found.layers[n] for n in own), tuple(sorted(found.dropped))
    )


def alignment_notes(alignment: Alignment, names: Sequence[str]) -> tuple[str, ...]:
    """What a reader must know: which models' names were of no known family."""
    unknown = [n for n, f in zip(names, alignment.families, strict=True) if isinstance(f, Absent)]
    if not unknown:
        return ()
    listed = ", ".join(unknown[:4]) + (f" and {len(unknown) - 4} more" if len(unknown) > 4 else "")
    return (
        f"No family that is known here names tensors as {listed} do: they were matched by name and shape.",
    )
