"""A model's folder at a place on a network: every header is fetched when it is opened, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from parentage.checkpoints.byte_files import ByteFile, Span
from parentage.checkpoints.formats.safetensors_header import MAX_HEADER
from parentage.checkpoints.local_files import LocalFile
from parentage.checkpoints.remote.background import RangeSource
from parentage.checkpoints.remote.budget import Meter
from parentage.checkpoints.remote.range_files import PREFIX, RangeFile
from parentage.checkpoints.remote.remote_choice import Choice
from parentage.checkpoints.remote.remote_errors import at_opening
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.errors import ReadError

__all__ = ["Listing", "RemoteFolder"]

Beside = tuple[RangeSource, bytes, str | None]
"""A further file: its bytes by range, those that came already, and its published SHA-256."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a place tells of a model. ``beside`` finds a further file of the folder; ``downloaded``: weight
    files that already lie on this machine."""

    locator: str
    where: str
    revision: str | None
    choice: Choice
    sources: Mapping[str, RangeSource]
    side_files: Mapping[str, int | None]
    read_side_file: Callable[[str, int], bytes]
    beside: Callable[[str], Beside]
    published: Mapping[str, str] = field(default_factory=dict)
    firsts: Mapping[str, bytes] = field(default_factory=dict)
    downloaded: Mapping[str, Path] = field(default_factory=dict)


class RemoteFolder:
    """See :class:`Folder`. ``owned``: the session is closed with the folder."""

    remote = True

    def __init__(
        self, listing: Listing, session: RemoteSession, meter: Meter, *, owned: bool = False
    ) -> None:
        self._listing, self._session, self._meter, self._owned = listing, session, meter, owned
        self.locator, self.where = listing.locator, listing.where
        self.revision = listing.revision
        self.files = listing.choice.files
        self.weight_map: Mapping[str, str] | None = listing.choice.weight_map
        self.side_files = listing.side_files
        self._files = {
            name: session.file(
                name, source, meter, listing.published.get(name), listing.firsts.get(name, b"")
            )
            for name, source in listing.sources.items()
        }
        try:
            self._fetch_headers()
        except ReadError as error:
            self.close()
            raise at_opening(error) from None

    def _fetch_headers(self) -> None:
        files = list(self._files.values())
        self._session.fetch_all([(f, [(0, min(PREFIX, f.size))]) for f in files])
        longer = [(f, _header_length(f)) for f in files]
        self._session.fetch_all([(f, [(0, length)]) for f, length in longer if length > PREFIX])

    @property
    def oddities(self) -> tuple[str, ...]:
        """What is unusual but no error."""
        unseen = [
            f"{name}: its place names no version (ETag): a change while it is read may go unseen"
            for name, source in self._listing.sources.items()
            if not source.versioned
        ]
        return (*self._listing.choice.oddities, *unseen)

    @property
    def bytes_read(self) -> int:
        """Bytes that came over the network for this model."""
        return self._meter.own.counters.bytes_read

    @property
    def requests(self) -> int:
        """Requests sent for this model."""
        return self._meter.own.counters.requests

    def open(self, name: str) -> ByteFile:
        """A weight file; one that lies in the hub's cache already is read there."""
        path = self._listing.downloaded.get(name)
        if path is None:
            return self._files[name]
        file = LocalFile(name, path)
        file.published_sha256 = self._listing.published.get(name)
        return file

    def open_beside(self, name: str) -> ByteFile:
        """A file that the place was not asked for when it was opened."""
        source, first, published = self._listing.beside(name)
        file = self._files[name] = self._session.file(name, source, self._meter, published, first)
        return file

    def announce_all(self, spans: Sequence[tuple[ByteFile, Sequence[Span]]]) -> None:
        """Over all files at once, in the background; raises ``budget-spent`` and then fetches nothing."""
        self._session.announce_all(spans)

    def read_side_file(self, name: str, limit: int) -> bytes:
        """At most ``limit`` bytes; counted in the budget."""
        return self._listing.read_side_file(name, limit)

    def close(self) -> None:
        """Close the files, and the session when it is this folder's own."""
        for file in self._files.values():
            file.close()
        if self._owned:
            self._session.close()


def _header_length(file: RangeFile) -> int:
    """Bytes up to the end of a safetensors header; 0 when the file does not begin like one."""
    raw = bytearray(min(9, file.size))
    file.read_into(0, memoryview(raw))
    length = int.from_bytes(raw[:8], "little") + 8
    return length if raw[8:] == b"{" and length <= min(file.size, MAX_HEADER + 8) else 0
