"""Does the suspect itself say which models it is made of?

A parent is *undisclosed* when the evidence supports a relation by which the suspect has its weights
from that parent, and nothing that the suspect's own card, config, recipe or metadata declares carries
one of the parent's names. What is declared are claims; here they only ever count in the suspect's favour,
so names are matched leniently: by the last component of a path, without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from parentage.records.evidence import Evidence, ModelPin
from parentage.records.report import Verdict

__all__ = ["UNRELATED_BY_DESCENT", "names_of_path", "undisclosed_parents"]

# Of these relations none says that the suspect has weights from the model that is named.
UNRELATED_BY_DESCENT = frozenset({"same-run-checkpoint", "shared-ancestor", "independent", "undetermined"})
# File names that say nothing of the model: the folder names it.
_ANY_FILE = re.compile(r"(pytorch_|diffusion_pytorch_)?model([-_.].*)?|weights|checkpoint", re.IGNORECASE)
_ENDINGS = re.compile(r"\.(safetensors|gguf|bin|pth?|ckpt|onnx|index|json)$", re.IGNORECASE)


def undisclosed_parents(evidence: Evidence, verdict: Verdict) -> tuple[str, ...]:
    """Names of the supported verdict's parents that the suspect's own files do not declare.

    ``verdict`` is of the evidence itself: judge without a claim. Empty unless it is supported.
    """
    if verdict.status != "supported" or verdict.relation in UNRELATED_BY_DESCENT:
        return ()
    declared = {_last(name) for name in evidence.models[0].declared}
    by_name = {pin.name: pin for pin in evidence.models}
    return tuple(
        parent.name
        for parent in verdict.parents
        if parent.name in by_name and declared.isdisjoint(_names(by_name[parent.name]))
    )


def _names(pin: ModelPin) -> set[str]:
    """What a model may be called by: its file or folder, and its repository in the hub's cache."""
    return {name for place in (pin.name, pin.locator) for name in names_of_path(place)}


def names_of_path(place: str) -> Iterator[str]:
    """What a model may be called by: its file or folder, and its repository in the hub's cache."""
    parts = [p for p in re.split(r"[/\\]", place) if p not in ("", ".", "..")]
    if not parts:
        return
    own = _last(place)
    yield own
    if _ANY_FILE.fullmatch(own) and len(parts) > 1:
        yield _last(parts[-2])
    for part in parts:
        if part.startswith("models--"):
            yield part.rpartition("--")[2].casefold()


def _last(name: str) -> str:
    """The last component of a path or a repository's name, without a weight file's endings."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    while (shorter := _ENDINGS.sub("", last)) != last:
        last = shorter
    return last.casefold()
