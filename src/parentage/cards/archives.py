"""Archives of our own: a ZIP file of one layout, so that equal contents are equal bytes.

Members are stored, not compressed, sorted by name, dated 1980-01-01 (APPNOTE 6.3, the least date), and
follow one another without a gap. Any other byte is refused: nothing lies between members, before or after
them, and no header says otherwise than another. So a bomb, a second directory and a hidden member have no
place; what is unpacked is what was hashed.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from parentage.cards.bundles import MOST_BUNDLE, bundle_of, manifest_in
from parentage.cards.keys import Signer, Verifier
from parentage.checkpoints.places import open_file
from parentage.errors import EvidenceError, LabelError
from parentage.records.archive import SCHEMA, VERSION, Manifest, Member
from parentage.records.codec import from_plain, to_plain
from parentage.records.json_files import dumps, loads

__all__ = [
    "MANIFEST",
    "MOST_BYTES",
    "SIGNATURE",
    "archive_bytes",
    "is_archive",
    "members_of",
    "packed",
    "read_archive",
    "signed_members",
]

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "archive.sig"
# Evidence on a model of 2,924 tensors with every replay takes some 40 MB.
MOST_BYTES: Final = 512 * 2**20
MOST_MEMBERS: Final = 2_000
MOST_NAME: Final = 200
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_VERSION, _DATE = 20, 0x21
# A regular file that its owner may write and all may read, made on Unix (the version's upper byte).
_MADE, _MODE = 3 << 8 | _VERSION, 0o100644 << 16
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*", re.ASCII)
_HINT: Final = "do not rely on it; fetch the archive again from who made it"


def is_archive(path: Path) -> bool:
    """Whether a file begins as a ZIP does; raises what opening it raises."""
    with os.fdopen(open_file(path), "rb") as stream:
        return stream.read(4) in (LOCAL, END)


def archive_bytes(members: Mapping[str, bytes]) -> bytes:
    """The one ZIP file of these members; names as ``members_of`` takes them."""
    parts: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for name in sorted(members):
        _check_name(name.encode("ascii"), "")
        head = _local(name, members[name])
        central.append(_entry(name, members[name], offset))
        parts += [head, members[name]]
        offset += len(head) + len(members[name])
    return b"".join((*parts, *central, _end(central, offset)))


def _local(name: str, data: bytes) -> bytes:
    size = len(data)
    fixed = (LOCAL, _VERSION, 0, 0, 0, _DATE, zlib.crc32(data), size, size, len(name), 0)
    return _LOCAL.pack(*fixed) + name.encode("ascii")


def _entry(name: str, data: bytes, offset: int) -> bytes:
    size = len(data)
    fixed = (CENTRAL, _MADE, _VERSION, 0, 0, 0, _DATE, zlib.crc32(data), size, size, len(name))
    return _CENTRAL.pack(*fixed, 0, 0, 0, 0, _MODE, offset) + name.encode("ascii")


def _end(central: list[bytes], offset: int) -> bytes:
    return _END.pack(END, 0, 0, len(central), len(central), sum(map(len, central)), offset, 0)


def members_of(raw: bytes, where: str) -> dict[str, bytes]:
    """The members of an archive, by name.

    Raises ``EvidenceError``: ``archive-not-zip``, ``archive-compressed``, ``archive-name``,
    ``archive-twice``, ``archive-too-many``, ``archive-cut``, ``archive-layout``.
    """
    found: dict[str, bytes] = {}
    central: list[bytes] = []
    seen: set[str] = set()
    at = 0
    while raw[at : at + 4] == LOCAL:
        name, data, at_next = _member(raw, at, where)
        if name.casefold() in seen:
            raise EvidenceError("a member is there twice", code="archive-twice", where=f"{where}: {name}")
        if len(found) == MOST_MEMBERS:
            raise EvidenceError(
                f"more than {MOST_MEMBERS:,} members", code="archive-too-many", where=where, hint=_HINT
            )
        seen.add(name.casefold())
        found[name] = data
        central.append(_entry(name, data, at))
        at = at_next
    if not found:
        raise EvidenceError("it is no archive of a dossier", code="archive-not-zip", where=where)
    if raw[at:] != b"".join((*central, _end(central, at))) or list(found) != sorted(found):
        raise _layout("its directory is not that of its members", where)
    return found


def _member(raw: bytes, at: int, where: str) -> tuple[str, bytes, int]:
    if at + _LOCAL.size > len(raw):
        raise _cut(where)
    _, _, _, method, _, _, crc, stored, _, length, extra = _LOCAL.unpack_from(raw, at)
    if method:
        raise EvidenceError(
            "a member is compressed; archives of dossiers never are",
            code="archive-compressed",
            where=where,
            hint=_HINT,
        )
    begin = at + _LOCAL.size + length
    name = _check_name(raw[at + _LOCAL.size : min(begin, at + _LOCAL.size + MOST_NAME + 1)], where)
    end = begin + extra + stored
    if end > len(raw):
        raise _cut(where)
    data = raw[begin + extra : end]
    if zlib.crc32(data) != crc:
        raise _changed(f"{where}: {name}")
    if raw[at:begin] != _local(name, data) or extra:
        raise _layout("a member's header says what no archive of ours says", f"{where}: {name}")
    return name, data, end


def _check_name(raw: bytes, where: str) -> str:
    name = raw.decode("ascii", errors="replace")
    if len(name) > MOST_NAME or _NAME.fullmatch(name) is None:
        raise EvidenceError(
            f"a member is named {name[:80]!r}, which no member of a dossier is",
            code="archive-name",
            where=where,
            hint=_HINT,
        )
    return name


def _cut(where: str) -> EvidenceError:
    return EvidenceError("it ends within a member", code="archive-cut", where=where, hint=_HINT)


def _layout(message: str, where: str) -> EvidenceError:
    return EvidenceError(message, code="archive-layout", where=where, hint=_HINT)


def _changed(where: str) -> LabelError:
    return LabelError(
        "it is not what the archive's manifest says", code="archive-member-changed", where=where, hint=_HINT
    )


def packed(manifest: Manifest, members: Mapping[str, bytes], signer: Signer | None) -> bytes:
    """The archive of members and their manifest, signed where there is a key."""
    listed = to_plain(manifest)
    text = dumps({"schema": SCHEMA, "version": VERSION, **listed}).encode()
    whole = {**members, MANIFEST: text}
    if signer is not None:
        digests = {name: hashlib.sha256(data).hexdigest() for name, data in whole.items()}
        whole[SIGNATURE] = bundle_of(manifest.suspect, digests, signer)
    return archive_bytes(whole)


def read_archive(path: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest and members; every member is what the manifest says, and no other is there.

    Raises ``EvidenceError``: ``archive-too-large``, those of :func:`members_of`, ``archive-manifest`` and
    what reading it raises; ``LabelError``: ``archive-member-changed``, ``archive-member-missing``,
    ``archive-member-extra``.
    """
    where = str(path)
    with os.fdopen(open_file(path), "rb") as stream:
        raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        raise EvidenceError(
            f"larger than {MOST_BYTES:,} bytes", code="archive-too-large", where=where, hint=_HINT
        )
    members = members_of(raw, where)
    if MANIFEST not in members:
        raise EvidenceError("it has no manifest", code="archive-manifest", where=where, hint=_HINT)
    plain = loads(members[MANIFEST], schema=SCHEMA, version=VERSION, where=f"{where}: {MANIFEST}")
    manifest = from_plain(Manifest, plain, f"{where}: {MANIFEST}")
    for problem in _unlike(manifest.members, members, where):
        raise problem
    return manifest, members


def _unlike(listed: tuple[Member, ...], members: Mapping[str, bytes], where: str) -> Iterator[LabelError]:
    wanted = {m.name: m for m in listed}
    for name, member in wanted.items():
        if name not in members:
            yield LabelError(
                "the manifest lists it, and it is not there",
                code="archive-member-missing",
                where=f"{where}: {name}",
                hint=_HINT,
            )
        elif hashlib.sha256(members[name]).hexdigest() != member.sha256:
            yield _changed(f"{where}: {name}")
    for name in sorted(set(members) - set(wanted) - {MANIFEST, SIGNATURE}):
        yield LabelError(
            "it is there, and the manifest does not list it",
            code="archive-member-extra",
            where=f"{where}: {name}",
            hint=_HINT,
        )


def signed_members(members: Mapping[str, bytes], verifier: Verifier) -> int:
    """How many members the signature speaks of, all as they are.

    Raises ``LabelError``: ``signature-missing``, ``signature-malformed``, ``signature-other-key``,
    ``signature-invalid``, ``archive-member-changed``, ``archive-member-extra``.
    """
    raw = members.get(SIGNATURE)
    if raw is None:
        raise LabelError(
            f"there is no signature: {SIGNATURE} is not in the archive", code="signature-missing"
        )
    if len(raw) > MOST_BUNDLE:
        raise LabelError("it is larger than any signature", code="signature-malformed")
    signed = manifest_in(raw, verifier).digests
    for name, data in members.items():
        if name == SIGNATURE:
            continue
        if signed.get(name) != hashlib.sha256(data).hexdigest():
            raise _changed(f"{SIGNATURE}: {name}")
    if set(signed) != set(members) - {SIGNATURE}:
        raise _changed(SIGNATURE)
    return len(signed)
