"""What a place offers: files of known size that are read by range, and the names beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

__all__ = ["ByteFile", "Folder", "HeldFile", "Span"]

Span = tuple[int, int]
"""Offset and number of bytes."""


class ByteFile(Protocol):
    """One file, opened; reading is safe from several threads. All raise ``ReadError``."""

    @property
    def name(self) -> str:
        """Relative to its folder, with ``/`` between parts."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def where(self) -> str:
        """Path or address, for messages."""

    @property
    def published_sha256(self) -> str | None:
        """The digest that the place publishes, in hexadecimal; never computed here."""

    @property
    def version(self) -> str | None:
        """Names these very bytes as far as the place can: by commit, ETag, or size and time of change.
        None where nothing tells."""

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill ``view`` with the bytes from ``offset``: all of them, or an error."""

    def announce(self, spans: Sequence[Span]) -> None:
        """These bytes will be read soon. A slow place fetches them now, together; returns at once or when
        they are at hand."""

    def blocks(self) -> Iterator[tuple[int, bytes | memoryview]]:
        """All bytes in order, as (offset, bytes), each good until the next is asked for; raises
        ``read-changed`` where the file was modified since it was opened."""

    def close(self) -> None:
        """Let go of it; safe to call twice."""


class Folder(Protocol):
    """A model's folder at some place: weight files, and the small files beside them."""

    @property
    def locator(self) -> str:
        """What opens the same folder again, as the user gave it."""

    @property
    def where(self) -> str:
        """Path or address, for messages."""

    @property
    def revision(self) -> str | None:
        """The commit that all files are of, where the place has such."""

    @property
    def remote(self) -> bool:
        """Reading takes requests over a network: read little, and what belongs together at once."""

    @property
    def files(self) -> tuple[str, ...]:
        """The weight files to be read, in order."""

    @property
    def weight_map(self) -> Mapping[str, str] | None:
        """The index's map of tensors to files, where there is one."""

    @property
    def side_files(self) -> Mapping[str, int | None]:
        """Config, tokenizer, card, template and recipe files with their sizes, where known."""

    @property
    def oddities(self) -> tuple[str, ...]:
        """What is unusual but no error."""

    @property
    def bytes_read(self) -> int:
        """Bytes that came over the network; 0 for a local folder, whose reads are counted elsewhere."""

    @property
    def requests(self) -> int:
        """Requests sent over the network."""

    def open(self, name: str) -> ByteFile:
        """Open one weight file; raises ``InputMissingError`` or ``ReadError``."""

    def open_beside(self, name: str) -> ByteFile:
        """Open a file with data that a weight file names, of this folder itself; raises as ``open``, and
        ``CheckpointError`` where the place cannot."""

    def announce_all(self, spans: Sequence[tuple[ByteFile, Sequence[Span]]]) -> None:
        """As :meth:`ByteFile.announce` for many of its files at once."""

    def read_side_file(self, name: str, limit: int) -> bytes:
        """At most ``limit`` bytes of a side file from its beginning."""

    def close(self) -> None:
        """Let go of connections; safe to call twice."""


class HeldFile:
    """A few bytes in memory as a file: numbers that a header holds; see :class:`ByteFile`."""

    published_sha256: str | None = None
    version: str | None = None

    def __init__(self, name: str, where: str, data: bytes) -> None:
        self.name, self.where, self._data = name, where, data
        self.size = len(data)

    def read_into(self, offset: int, view: memoryview) -> None:
        """Fill ``view``; what is asked for lies within the data."""
        view[:] = self._data[offset : offset + len(view)]

    def announce(self, spans: Sequence[Span]) -> None:
        """All of it is at hand."""

    def blocks(self) -> Iterator[tuple[int, bytes]]:
        """All at once."""
        yield 0, self._data

    def close(self) -> None:
        """Nothing is open."""
