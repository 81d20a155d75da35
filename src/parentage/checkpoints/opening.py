"""Open a checkpoint wherever it lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.checkpoints.adapters.adapted import AdaptedCheckpoint
from parentage.checkpoints.byte_files import Folder
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.local_files import LocalFolder
from parentage.checkpoints.locators import PlaceKind, place_kind, split_adapter

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["open_adapted", "open_checkpoint"]


def open_checkpoint(locator: str | os.PathLike[str], *, session: RemoteSession | None = None) -> Checkpoint:
    """Open a model: a weight file, or a folder that holds one or several. Only headers are read.

    A locator is a local path, ``hf://org/name[@revision]`` (``org/name`` for short, where no such path is
    there), ``https://…``, ``s3://…`` or ``gs://…``. ``session`` is what the remote models of one audit
    share; without one a model has a session of its own, which is closed with it. ``BASE+ADAPTER`` is the
    model that the two make, an :class:`AdaptedCheckpoint`.
    """
    pair = None if isinstance(locator, os.PathLike) else split_adapter(locator)
    if pair is not None:
        return open_adapted(*pair, session=session)
    kind = PlaceKind.LOCAL if isinstance(locator, os.PathLike) else place_kind(locator)
    if kind is PlaceKind.LOCAL:
        return Checkpoint(LocalFolder(Path(locator)))
    from parentage.checkpoints.remote.remote_session import RemoteSession

    used = RemoteSession() if session is None else session
    try:
        return Checkpoint(_open_remote(str(locator), kind, used, owned=session is None))
    except BaseException:
        if session is None:
            used.close()
        raise


def open_adapted(base: str, adapter: str, *, session: RemoteSession | None = None) -> AdaptedCheckpoint:
    """A base with an adapter (a folder that peft wrote) merged in, read by slice as either is.

    Raises, beside what opening does, ``CheckpointError``: ``adapter-config``, ``adapter-kind``,
    ``adapter-factors``, ``adapter-other-model``.
    """
    model = open_checkpoint(base, session=session)
    try:
        over = open_checkpoint(adapter, session=session)
    except BaseException:
        model.close()
        raise
    try:
        return AdaptedCheckpoint(model, over)
    except BaseException:
        model.close()
        over.close()
        raise


def _open_remote(locator: str, kind: PlaceKind, session: RemoteSession, *, owned: bool) -> Folder:
    if kind is PlaceKind.HUB:
        from parentage.checkpoints.remote.hub_place import open_hub

        return open_hub(locator, session, owned=owned)
    if kind is PlaceKind.HTTP:
        from parentage.checkpoints.remote.http_place import open_http

        return open_http(locator, session, owned=owned)
    from parentage.checkpoints.remote.object_place import open_object_store

    return open_object_store(locator, session, owned=owned)
