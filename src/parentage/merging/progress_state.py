"""What a merge in the making has finished, so that the same command goes on after a kill."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.errors import EvidenceError, InputMissingError, OutputError, UsageError
from parentage.merging.shards import no_write
from parentage.records.json_files import load_json, write_json

__all__ = ["NAME", "Finished", "RunState", "check_output"]

SCHEMA = "parentage.merge-state"
VERSION = 1
NAME = "state.json"


@dataclass(frozen=True, slots=True)
class Finished:
    """A shard that is whole on the disk."""

    sha256: str
    size: int


class RunState:
    """The folder ``OUT.partial`` and the list of what is finished in it.

    ``digest`` names the plan, its inputs' digests included: what another plan left is never gone on with.
    """

    def __init__(self, out: Path, digest: str) -> None:
        self.out = out
        self.folder = out.with_name(f"{out.name}.partial")
        self._digest = digest
        self._shards: dict[str, Any] = {}
        if self.folder.exists():
            self._shards = self._left_by_another_run()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            no_write(self.folder, error)
        self._save()

    def _left_by_another_run(self) -> dict[str, Any]:
        try:
            table = load_json(self.folder / NAME, schema=SCHEMA, version=VERSION)
        except (InputMissingError, EvidenceError):
            table = {}
        shards = table.get("shards")
        if table.get("plan") != self._digest or not isinstance(shards, dict):
            raise UsageError(
                "an unfinished merge of another recipe, of other inputs or by another version lies there",
                code="merge-other-run",
                where=str(self.folder),
                hint="delete it, or name another output",
            )
        return shards

    def finished(self, name: str, size: int) -> Finished | None:
        """A shard that an earlier run finished and that was not touched since."""
        known = self._shards.get(name)
        if not isinstance(known, dict):
            return None
        try:
            status = os.stat(self.folder / name)
        except OSError:
            return None
        same = (known.get("size"), known.get("mtime_ns")) == (status.st_size, status.st_mtime_ns)
        return Finished(str(known.get("sha256")), size) if same and size == status.st_size else None

    def finish(self, name: str, shard: Finished) -> None:
        """Note a shard that is on the disk."""
        status = os.stat(self.folder / name)
        self._shards[name] = {"sha256": shard.sha256, "size": shard.size, "mtime_ns": status.st_mtime_ns}
        self._save()

    def _save(self) -> None:
        table = {"schema": SCHEMA, "version": VERSION, "plan": self._digest, "shards": self._shards}
        write_json(self.folder / NAME, table)

    def abandon(self) -> int:
        """After a failure: how many finished shards are kept; the folder goes when there are none."""
        if not self._shards:
            shutil.rmtree(self.folder, ignore_errors=True)
        return len(self._shards)

    def publish(self) -> None:
        """Everything is there: the folder takes its name, at once."""
        (self.folder / NAME).unlink(missing_ok=True)
        for path in self.folder.glob("*.partial"):
            path.unlink()
        try:
            self.folder.rename(self.out)
        except OSError as error:
            # The list comes back, so that nothing that was made is made twice.
            with contextlib.suppress(OSError, OutputError):
                self._save()
            no_write(self.out, error)
        _sync(self.out.parent)


def _sync(folder: Path) -> None:
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def check_output(out: Path, inputs: list[str]) -> None:
    """Refuse a folder that holds something, or that is, holds or lies in an input.

    Raises ``UsageError``: ``merge-output-not-empty``, ``merge-output-is-input``.
    """
    real = Path(os.path.realpath(out))
    for place in inputs:
        other = Path(os.path.realpath(place))
        # A folder that holds an input's one file may hold the output beside it.
        folder = other if other.is_dir() else other.parent
        if real == folder or real in folder.parents or (other.is_dir() and other in real.parents):
            raise UsageError(
                "the output is, holds or lies in the folder of an input",
                code="merge-output-is-input",
                where=str(out),
                hint="name a folder elsewhere",
            )
    if real.exists() and (not real.is_dir() or any(real.iterdir())):
        raise UsageError(
            "the output is there already, and not an empty folder",
            code="merge-output-not-empty",
            where=str(out),
            hint="name a new folder, or empty this one; nothing is ever overwritten",
        )
