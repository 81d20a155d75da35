"""Blends of two models as copies of a suspect's GGUF file, run by llama.cpp as the suspect was.

Rounding to a few bits and llama.cpp's own arithmetic move next tokens as far as some merges do. So each
point of the line is the suspect's own file with other numbers in it: header, vocabulary and types are the
suspect's, the numbers are a blend of the parents', brought into each tensor's type by the quantiser of
ggml (``ggml-quants.c``), bit for bit.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from parentage.architectures.alignment import align
from parentage.behaviour.distributions import TOP
from parentage.behaviour.endpoints.client import Limits
from parentage.behaviour.line.blends import Told
from parentage.behaviour.runtimes.llama import LlamaServer
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.opening import open_checkpoint
from parentage.errors import AlignmentError, UsageError
from parentage.numerics.storage.formats import round_to, to_float32
from parentage.numerics.storage.quantizers import BLOCK, GGUF_QUANTIZERS, pack, quantize_blocks
from parentage.records.absence import Absent
from parentage.records.dtypes import DType
from parentage.records.tensors import TensorRef

__all__ = ["GgufBlends"]

# Three float32 arrays of so many numbers are in memory at a time.
PIECE = 2**21
_FLOATS = (DType.F32, DType.F16, DType.BF16)
# Made from the config alone, so that no parent's file holds them.
_OF_CONFIG = ("rope_freqs.weight",)


@dataclass(frozen=True, slots=True)
class _Triple:
    own: TensorRef
    first: TensorRef
    second: TensorRef


class GgufBlends:
    """``suspect``: a GGUF file; ``first``, ``second``: the parents' folders or files."""

    def __init__(self, suspect: str, first: str, second: str) -> None:
        self._suspect, self._places = suspect, (first, second)
        self._parents: list[Checkpoint] = []
        self._triples: list[_Triple] = []
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def how(self) -> str:
        """What a point of the line is, in words."""
        kinds = sorted({t.own.encoding or t.own.dtype.value for t in self._triples})
        return f"blends as copies of the suspect's file ({', '.join(kinds)}), run by llama.cpp"

    async def open(self) -> Absent | None:
        """Align the parents with the file and copy it; why that cannot be done.

        Raises ``UsageError`` (``line-not-one``) and what opening a model raises.
        """
        with open_checkpoint(self._suspect) as own:
            self._parents = [open_checkpoint(place) for place in self._places]
            why = self._match(own)
        if why is None:
            self._folder = TemporaryDirectory(prefix="parentage-line-")
            shutil.copyfile(os.path.realpath(self._suspect), self._file)
        return why

    @property
    def _file(self) -> Path:
        return Path("" if self._folder is None else self._folder.name) / "blend.gguf"

    def _match(self, own: Checkpoint) -> Absent | None:
        if len(own.shards) != 1:
            return Absent("the suspect is split over several files")
        try:
            groups = {g.name: g for g in align(own, self._parents).groups}
        except AlignmentError as error:
            raise UsageError(error.message, code="line-not-one", where=self._suspect) from None
        for name, tensor in own.tensors.items():
            if name in _OF_CONFIG:
                continue
            if tensor.encoding not in (*GGUF_QUANTIZERS, "") or tensor.dtype not in _FLOATS:
                kind = tensor.encoding or tensor.dtype.value
                return Absent(f"{name} is stored as {kind}, which is not written here")
            group = groups.get(name)
            others = () if group is None else group.others
            found = [o for o in others if not isinstance(o, Absent) and o.elements == tensor.elements]
            if group is None or group.suspect.elements != tensor.elements or len(found) != 2:
                return Absent(f"{name} has no counterpart of its size in both parents")
            self._triples.append(_Triple(tensor, *found))
        return None

    async def at(self, weight: float, texts: Sequence[str]) -> Told:
        """Next tokens of the blend with ``weight`` of the first after each text."""
        self._write(weight)
        return await self.ask(str(self._file), texts)

    async def ask(self, file: str, texts: Sequence[str]) -> Told:
        """What a file says next after each text."""
        server = LlamaServer(file, Limits())
        try:
            await server.open()
            return [await server.next_tokens(text, TOP) for text in texts]
        finally:
            await server.close()

    def _write(self, weight: float) -> None:
        number = os.open(self._file, os.O_WRONLY | os.O_CLOEXEC)
        try:
            for triple in self._triples:
                position = triple.own.begin
                for start in range(0, triple.own.elements, PIECE):
                    raw = _stored(triple.own, self._blend(triple, start, weight))
                    position += os.pwrite(number, raw.tobytes(), position)
        finally:
            os.close(number)

    def _blend(self, triple: _Triple, start: int, weight: float) -> NDArray[np.float32]:
        count = min(PIECE, triple.own.elements - start)
        first, second = (
            to_float32(parent.read(ref, start, count), ref.dtype)
            for parent, ref in zip(self._parents, (triple.first, triple.second), strict=True)
        )
        blend = np.asarray(first * np.float32(weight) + second * np.float32(1 - weight), dtype=np.float32)
        # A merge is stored before it is made a GGUF file, in the format of its parents.
        one = triple.first.dtype
        if one is triple.second.dtype and one in (DType.F16, DType.BF16) and not triple.first.encoding:
            return to_float32(round_to(blend, one), one)
        return blend

    async def close(self) -> None:
        """Close the parents, remove the copy."""
        for parent in self._parents:
            parent.close()
        if self._folder is not None:
            self._folder.cleanup()


def _stored(tensor: TensorRef, values: NDArray[np.float32]) -> NDArray[np.unsignedinteger]:
    """The bytes of a piece of whole blocks in the tensor's type."""
    if not tensor.encoding:
        return round_to(values, tensor.dtype)
    return pack(quantize_blocks(values.reshape(-1, BLOCK), tensor.encoding), tensor.encoding)
