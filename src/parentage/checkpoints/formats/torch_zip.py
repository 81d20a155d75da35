"""The zip archive that ``torch.save`` writes: members stored as they are, found through its directory.

Format: PKWARE's APPNOTE, sections 4.3 and 4.5. Stricter than a general reader: nothing compressed or
encrypted, no two members over each other, no name twice, nothing after the end.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from parentage.checkpoints.byte_files import ByteFile
from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import HeaderError

__all__ = ["TORCH_HINT", "ZIP", "Member", "read_members"]

ZIP = b"PK\x03\x04"
TORCH_HINT = "fetch the file again; if it stays so, it is not a valid PyTorch file"
# One member for each storage; the largest models have some thousand a file.
MOST_MEMBERS = 200_000
MOST_DIRECTORY = 64 * 2**20
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive: its bytes lie at [begin, end) of the archive."""

    name: str
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class _Entry:
    name: bytes
    size: int
    offset: int


def _lie(code: str, message: str, where: str) -> HeaderError:
    return HeaderError(message, code=code, where=where, hint=TORCH_HINT)


def read_members(file: ByteFile) -> dict[str, Member]:
    """All members by name, in the order of the directory; raises ``HeaderError`` (``torch-zip…``)."""
    begin, size, count = _directory(file)
    raw = _read(file, begin, size)
    entries, at = [], 0
    for _ in range(count):
        entry, at = _entry(raw, at, file.where)
        entries.append(entry)
    if at != size:
        raise _lie("torch-zip", f"{size - at:,} bytes of the directory belong to no member", file.where)
    return _placed(file, entries, begin)


def _directory(file: ByteFile) -> tuple[int, int, int]:
    """Offset, bytes and number of entries of the central directory."""
    length = min(file.size, _END.size + 2**16)
    tail = _read(file, file.size - length, length)
    found = _end_record(tail, file.where)
    _, disk, first_disk, here, count, size, begin, _ = _END.unpack_from(tail, found)
    at = file.size - length + found
    if 0xFFFF in (here, count) or 0xFFFFFFFF in (size, begin) or _has_locator(file, at):
        disk, first_disk, here, count, size, begin, at = _end_record_64(file, at)
    if disk or first_disk or here != count:
        raise _lie("torch-zip", "the archive is one of several volumes", file.where)
    if count > MOST_MEMBERS or size > MOST_DIRECTORY:
        raise _lie("torch-too-large", f"a directory of {count:,} members, {size:,} bytes", file.where)
    if begin + size != at:
        message = f"the directory ends at byte {begin + size:,}, its end record is at {at:,}"
        raise _lie("torch-zip", message, file.where)
    return begin, size, count


def _end_record(tail: bytes, where: str) -> int:
    """Where the end record lies in the file's last bytes: a comment behind it fills the file exactly."""
    at = len(tail) - _END.size
    while at >= 0:
        at = tail.rfind(b"PK\x05\x06", 0, at + 4)
        if at < 0:
            break
        if at + _END.size + int.from_bytes(tail[at + 20 : at + 22], "little") == len(tail):
            return at
        at -= 1
    message = "the archive has no end: the file is cut short, or something follows it"
    raise _lie("torch-truncated", message, where)


def _has_locator(file: ByteFile, at: int) -> bool:
    return at >= _LOCATOR.size and _read(file, at - _LOCATOR.size, 4) == b"PK\x06\x07"


def _end_record_64(file: ByteFile, end: int) -> tuple[int, int, int, int, int, int, int]:
    at = end - _LOCATOR.size
    if at < 0:
        raise _lie("torch-zip", "the end record points to one that is not there", file.where)
    mark, disk, begin, disks = _LOCATOR.unpack(_read(file, at, _LOCATOR.size))
    if mark != b"PK\x06\x07" or disk or disks > 1 or begin + _END64.size != at:
        raise _lie("torch-zip", "the end record points to one that is not there", file.where)
    found = _END64.unpack(_read(file, begin, _END64.size))
    if found[0] != b"PK\x06\x06" or found[1] != _END64.size - 12:
        raise _lie("torch-zip", "the long end record is malformed", file.where)
    _, _, _, _, disk, first, here, count, size, start = found
    return disk, first, here, count, size, start, begin


def _entry(raw: bytes, at: int, where: str) -> tuple[_Entry, int]:
    if at + _ENTRY.size > len(raw):
        raise _lie("torch-zip", "the directory ends within an entry", where)
    values = _ENTRY.unpack_from(raw, at)
    flags, method, packed, size = values[3], values[4], values[8], values[9]
    name_bytes, extra_bytes, comment_bytes, offset = values[10], values[11], values[12], values[16]
    behind = at + _ENTRY.size + name_bytes
    after = behind + extra_bytes + comment_bytes
    if values[0] != b"PK\x01\x02" or after > len(raw):
        raise _lie("torch-zip", "the directory holds something that is no entry", where)
    name = raw[behind - name_bytes : behind]
    place = f"{where}: {shown(name.decode('utf-8', errors='replace'))}"
    if flags & 0x2041:
        raise _lie("torch-zip", "the member is encrypted", place)
    size, packed, offset = _long(raw[behind : behind + extra_bytes], size, packed, offset, place)
    if method != 0 or size != packed:
        message = f"the member is compressed ({packed:,} bytes for {size:,}), which torch.save never does"
        raise _lie("torch-zip-compressed", message, place)
    return _Entry(name, size, offset), after


def _long(extra: bytes, size: int, packed: int, offset: int, place: str) -> tuple[int, int, int]:
    """Sizes past 4 GiB stand in an extra field, in this order, each only where the short one is full."""
    values = [size, packed, offset]
    wanted = [k for k, v in enumerate(values) if v == 0xFFFFFFFF]
    at = 0
    while wanted and at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1 and length >= 8 * len(wanted) and at + 4 + length <= len(extra):
            for k, value in zip(wanted, struct.unpack_from(f"<{len(wanted)}Q", extra, at + 4), strict=True):
                values[k] = value
            return values[0], values[1], values[2]
        at += 4 + length
    if wanted:
        raise _lie("torch-zip", "a long size is announced and not there", place)
    return size, packed, offset


def _placed(file: ByteFile, entries: Sequence[_Entry], directory: int) -> dict[str, Member]:
    """Members with the place of their bytes, which only the header in front of each tells."""
    for entry in entries:
        if entry.offset + _LOCAL.size + len(entry.name) + entry.size > directory:
            place = f"{file.where}: {shown(entry.name.decode('utf-8', errors='replace'))}"
            raise _lie("torch-truncated", "the member ends behind the archive's data", place)
    file.announce([(e.offset, _LOCAL.size + len(e.name)) for e in entries])
    ends: list[tuple[int, int]] = []
    found: dict[str, Member] = {}
    for entry in entries:
        member = _member(file, entry, directory)
        if member.name in found:
            raise _lie("torch-zip", f"{shown(member.name)} is there twice", file.where)
        found[member.name] = member
        ends.append((entry.offset, member.end))
    ends.sort()
    for (_, end), (begin, _) in pairwise(ends):
        if begin < end:
            raise _lie("torch-zip-overlap", f"two members share the bytes from {begin:,} on", file.where)
    return found


def _member(file: ByteFile, entry: _Entry, directory: int) -> Member:
    raw = _read(file, entry.offset, _LOCAL.size + len(entry.name))
    values = _LOCAL.unpack_from(raw)
    try:
        name = entry.name.decode("utf-8")
    except UnicodeDecodeError:
        raise _lie("torch-zip", "a member's name is not UTF-8", file.where) from None
    if values[0] != ZIP or values[9] != len(entry.name) or raw[_LOCAL.size :] != entry.name:
        message = "the header in front of the member is not what the directory says"
        raise _lie("torch-zip", message, f"{file.where}: {shown(name)}")
    begin = entry.offset + _LOCAL.size + values[9] + values[10]
    if begin + entry.size > directory:
        message = "the member ends behind the archive's data"
        raise _lie("torch-truncated", message, f"{file.where}: {shown(name)}")
    return Member(name, begin, begin + entry.size)


def _read(file: ByteFile, offset: int, count: int) -> bytes:
    raw = bytearray(count)
    file.read_into(offset, memoryview(raw))
    return bytes(raw)
