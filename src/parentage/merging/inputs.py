"""A recipe's models, opened, and the digests of their files, worked out while the merge is planned.

Nothing here is compiled: hashing begins before the kernels of the merge are loaded, and goes on meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.checkpoints.opening import open_adapted, open_checkpoint
from parentage.errors import InputMissingError
from parentage.records.absence import Absent
from parentage.records.merge import NOT_HASHED, MergedFile
from parentage.records.recipe import ModelName, Recipe
from parentage.records.tensors import ShardRef

if TYPE_CHECKING:
    from parentage.cards.keys import Signer
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["DEFAULT_SHARD_BYTES", "InputDigests", "MergeOptions", "input_digests", "open_models", "threads"]

# As mergekit and the hub's own tools split.
DEFAULT_SHARD_BYTES: Final = 5 * 10**9
MEBIBYTE: Final = 2**20
NOT_PUBLISHED: Final = Absent("its place publishes no digest")
# A hashing thread takes the interpreter's lock twice a block of 4 MiB (2.5 ms). While modules are imported
# it would wait 5 ms for it each time, and so stand still most of the start; afterwards whoever makes pieces
# would wait for whoever hands them out.
SWITCH_SECONDS: Final = 0.0001
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class MergeOptions:
    """``profile`` and ``seed`` go before the recipe's own; ``shard_bytes``: of tensors, a
    file; ``workers``: threads, 0: one a core; ``signer``: signs all that was written."""

    profile: str | None = None
    seed: int | None = None
    shard_bytes: int = DEFAULT_SHARD_BYTES
    digests: bool = True
    workers: int = 0
    signer: Signer | None = None


def threads(options: MergeOptions) -> int:
    """As many as were asked for, or one a core."""
    return options.workers or max(1, len(os.sched_getaffinity(0)))


@contextmanager
def open_models(recipe: Recipe) -> Iterator[dict[ModelName, Checkpoint]]:
    """Every model that the recipe names, opened; headers alone are read."""
    with ExitStack() as stack:
        names = recipe.named_models()
        session = _session(stack, names)
        opened = {}
        for name in names:
            try:
                opened[name] = stack.enter_context(_open(name, session))
            except InputMissingError as error:
                raise InputMissingError(
                    f"the recipe's model {name}: {error.message}",
                    code=error.code,
                    where=error.where,
                    hint=error.hint,
                ) from None
        yield opened


def _open(name: ModelName, session: RemoteSession | None) -> Checkpoint:
    if name.adapter is None:
        return open_checkpoint(name.model, session=session)
    return open_adapted(name.model, name.adapter, session=session)


def _session(stack: ExitStack, names: Sequence[ModelName]) -> RemoteSession | None:
    if all(place_kind(place) is PlaceKind.LOCAL for n in names for place in n.places):
        return None
    from parentage.checkpoints.remote.remote_session import RemoteSession

    session = RemoteSession()
    stack.callback(session.close)
    return session


class InputDigests:
    """SHA-256 of every weight file: as published where it lies on a network, else computed, from now on and
    in threads of its own; a context manager, after which nothing is read any more."""

    def __init__(self, opened: Mapping[ModelName, Checkpoint], options: MergeOptions) -> None:
        self._models = tuple(opened)
        self._given_up = threading.Event()
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self._interval, SWITCH_SECONDS))
        self._pool = ThreadPoolExecutor(threads(options), thread_name_prefix="parentage-digests")
        self._coming: list[tuple[ModelName, bool, Future[MergedFile]]] = [
            (model, c.remote, self._pool.submit(self._file, c, shard, options.digests))
            for model, c in opened.items()
            for shard in c.shards
        ]
        self._total = sum(s.size for c in opened.values() if not c.remote for s in c.shards) // MEBIBYTE

    def result(self, progress: Progress) -> dict[ModelName, list[MergedFile]]:
        """Every model's files, in order; raises what reading them raised."""
        done = 0
        found: dict[ModelName, list[MergedFile]] = {model: [] for model in self._models}
        for model, remote, coming in self._coming:
            file = coming.result()
            found[model].append(file)
            done += 0 if remote else file.size
            progress("hashing inputs (MiB)", done // MEBIBYTE, self._total)
        return found

    def _file(self, checkpoint: Checkpoint, shard: ShardRef, wanted: bool) -> MergedFile:
        if checkpoint.remote:
            return MergedFile(shard.name, shard.size, shard.published_sha256 or NOT_PUBLISHED)
        digest = self._sha256(checkpoint, shard) if wanted else NOT_HASHED
        return MergedFile(shard.name, shard.size, digest)

    def _sha256(self, checkpoint: Checkpoint, shard: ShardRef) -> str:
        whole = hashlib.sha256()
        for _, block in checkpoint.blocks(shard):
            if self._given_up.is_set():
                break
            whole.update(block)
        return whole.hexdigest()

    def __enter__(self) -> InputDigests:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._given_up.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        sys.setswitchinterval(self._interval)


def input_digests(
    opened: Mapping[ModelName, Checkpoint], options: MergeOptions, progress: Progress
) -> dict[ModelName, list[MergedFile]]:
    """The same, waited for."""
    with InputDigests(opened, options) as digests:
        return digests.result(progress)
