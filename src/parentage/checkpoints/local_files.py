"""Files of a local folder, read with ``pread`` and never mapped: mapped pages would count as ours, and a
file cut short under a map kills the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from parentage.checkpoints.byte_files import ByteFile, Span
from parentage.checkpoints.direct_files import in_memory
from parentage.checkpoints.licence_names import is_licence_file
from parentage.checkpoints.places import Place, find_place, open_file, safe_file
from parentage.errors import ReadError

__all__ = ["LocalFile", "LocalFolder"]

# Bytes of a block, which stays in a processor's cache while it is hashed (smaller ones wait too often for
# the interpreter's lock while modules are imported), and of what a disk is asked for beforehand.
BLOCK = 4 * 2**20
AHEAD = 8 * 2**20
# To announce costs the system a step for each page, in memory or not: .2 ns a number of a full pass that
# takes .8. Spans from this size on are probed first.
PROBED = 2**18
SIDE_FILES = (
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "README.md",
    "mergekit_config.yml",
)
VOCABULARY = "vocab.json"
SIDE_ENDINGS = (".jinja", ".model", ".txt")
STILL_WRITTEN = "wait until it is no longer written, then begin again"


def is_side_file(name: str) -> bool:
    """Config, tokenizer, card, template, recipe or licence."""
    named = name in SIDE_FILES or name == VOCABULARY or name.startswith("tokenizer")
    return named or Path(name).suffix in SIDE_ENDINGS or is_licence_file(name)


def _not_read(error: OSError, where: str) -> ReadError:
    return ReadError(
        f"cannot be read: {error.strerror}", code="read-failed", where=where, hint="check the disk"
    )


class LocalFile:
    """A regular file on a local disk; see :class:`ByteFile`."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.where = str(path)
        self.published_sha256: str | None = None
        self._number: int | None = open_file(path)
        status = os.fstat(self._number)
        self.size = status.st_size
        self._stamp = (status.st_size, status.st_mtime_ns)
        self._advise(0, 0, "POSIX_FADV_RANDOM")

    @property
    def version(self) -> str | None:
        """Its size and the time of its last change."""
        return f"{self._stamp[0]} {self._stamp[1]}"

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill ``view``; ``read-short`` where the file ends before."""
        number = self.descriptor
        while len(view):
            try:
                got = os.preadv(number, [view], offset)
            except OSError as error:
                raise _not_read(error, self.where) from None
            if got == 0:
                raise ReadError(
                    "the file became shorter while it was read",
                    code="read-short",
                    where=self.where,
                    hint=STILL_WRITTEN,
                )
            view, offset = view[got:], offset + got

    def announce(self, spans: Sequence[Span]) -> None:
        """Let the system fetch them from the disk meanwhile, those that do not lie in memory."""
        for offset, count in spans:
            if count < PROBED or not in_memory(self.descriptor, offset, count):
                self._advise(offset, count, "POSIX_FADV_WILLNEED")

    def blocks(self) -> Iterator[tuple[int, memoryview]]:
        """From the first byte to the last."""
        offset, number = 0, self.descriptor
        # One for all: memory that the system gives anew for each costs as much as reading it.
        room = memoryview(bytearray(min(BLOCK, max(self.size, 1))))
        while count := self._block(number, offset, room):
            if offset % AHEAD == 0 and offset + AHEAD < self.size:
                self.announce([(offset + AHEAD, min(AHEAD, self.size - offset - AHEAD))])
            yield offset, room[:count]
            offset += count
        status = os.fstat(number)
        if (status.st_size, status.st_mtime_ns) != self._stamp:
            raise ReadError(
                "the file changed while it was examined",
                code="read-changed",
                where=self.where,
                hint=STILL_WRITTEN,
            )

    def _block(self, number: int, offset: int, room: memoryview) -> int:
        try:
            return os.preadv(number, [room], offset)
        except OSError as error:
            raise _not_read(error, self.where) from None

    @property
    def descriptor(self) -> int:
        """The system's number of the open file; ``read-closed`` when it is not."""
        if self._number is None:
            raise ReadError(
                "the file is closed",
                code="read-closed",
                where=self.where,
                hint="this is our mistake: please report it",
            )
        return self._number

    def _advise(self, offset: int, count: int, what: str) -> None:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self.descriptor, offset, count, getattr(os, what))

    def close(self) -> None:
        """Close the descriptor; safe to call twice."""
        if self._number is not None:
            os.close(self._number)
            self._number = None


class LocalFolder:
    """A folder, or one file that was named; see :class:`Folder`."""

    remote = False
    bytes_read = 0
    requests = 0

    def __init__(self, path: Path) -> None:
        self.locator = str(path)
        self.where = str(path)
        self._place: Place = find_place(path)
        self.files = self._place.files
        self.weight_map: Mapping[str, str] | None = self._place.weight_map
        self.oddities = self._place.oddities

    @property
    def revision(self) -> str | None:
        """The commit, when the folder is a snapshot in the hub's cache."""
        folder = self._place.folder.absolute()
        return folder.name if folder.parent.name == "snapshots" else None

    @property
    def side_files(self) -> Mapping[str, int | None]:
        """Those that lie beside the weights."""
        found: dict[str, int | None] = {}
        for path in sorted(self._place.folder.iterdir()):
            if is_side_file(path.name) and os.path.isfile(path):
                try:
                    found[path.name] = path.stat().st_size
                except OSError:
                    found[path.name] = None
        return found

    def open(self, name: str) -> LocalFile:
        """A link inside the folder may not lead out of it."""
        folder = self._place.folder
        return LocalFile(name, folder / name if self._place.as_named else safe_file(folder, name))

    def open_beside(self, name: str) -> LocalFile:
        """A file of the folder; a link may not lead out of it, even where the weight file was named."""
        return LocalFile(name, safe_file(self._place.folder, name))

    def announce_all(self, spans: Sequence[tuple[ByteFile, Sequence[Span]]]) -> None:
        """Tell the system, file by file."""
        for file, found in spans:
            file.announce(found)

    def read_side_file(self, name: str, limit: int) -> bytes:
        """At most ``limit`` bytes."""
        number = open_file(safe_file(self._place.folder, name))
        with os.fdopen(number, "rb") as stream:
            try:
                return stream.read(limit)
            except OSError as error:
                raise _not_read(error, name) from None

    def close(self) -> None:
        """Nothing is held."""
