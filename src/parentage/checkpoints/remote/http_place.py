"""A file, or a folder of files, at an ordinary web address."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from parentage.checkpoints.licence_names import USUAL_LICENCES
from parentage.checkpoints.local_files import SIDE_FILES
from parentage.checkpoints.remote.budget import Meter
from parentage.checkpoints.remote.http_source import HttpSource
from parentage.checkpoints.remote.range_files import PREFIX
from parentage.checkpoints.remote.remote_choice import (
    INDEX,
    MAX_JSON,
    SINGLE,
    Choice,
    is_weight_file,
    safe_name,
    weight_map_of,
)
from parentage.checkpoints.remote.remote_errors import Transient, at_opening, bad_locator, public_address
from parentage.checkpoints.remote.remote_folder import Beside, Listing, RemoteFolder
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.errors import ReadError

__all__ = ["open_http"]

# A web address lists nothing, so the usual names are asked for.
ASKED_FOR = (
    *SIDE_FILES,
    *USUAL_LICENCES,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)
# What a folder's weights are usually called, index first, in the order in which they are asked for.
USUAL = (
    (INDEX, SINGLE),
    ("pytorch_model.bin.index.json", "pytorch_model.bin"),
    ("", "model.onnx"),
)
INDEXES = tuple(index for index, _ in USUAL if index)
NOT_THERE = ("read-absent", "read-forbidden", "read-html")


def open_http(locator: str, session: RemoteSession, *, owned: bool = False) -> RemoteFolder:
    """Open a weight file, told by its ending, or a folder with an index or a file of a usual name."""
    folder, name = _split(locator)
    meter = session.meter()
    try:
        named = bool(name) and name not in INDEXES
        choice = Choice((name,)) if named else _choice(folder, session, meter, name)
        sources = {n: HttpSource(session.client, meter, folder(n)) for n in choice.files}
        side, firsts = session.run(_look(session, meter, folder, list(sources.values())))
    except ReadError as error:
        raise at_opening(error) from None

    def beside(file: str) -> Beside:
        source = HttpSource(session.client, meter, folder(file))
        return source, session.run(_first(source, meter)), None

    query = urlsplit(locator).query
    if query:  # it may hold a key, which evidence must not keep
        oddity = "the address has a query, which is not kept: the locator alone may not open it again"
        choice = Choice(choice.files, choice.weight_map, (*choice.oddities, oddity))
    listing = Listing(
        locator=public_address(locator) if query else locator,
        where=public_address(locator),
        revision=None,
        choice=choice,
        sources=sources,
        side_files=side,
        read_side_file=lambda n, limit: session.run(
            session.client.body(folder(n), {}, meter, limit, cut=True)
        ),
        beside=beside,
        firsts=dict(zip(sources, firsts, strict=True)),
    )
    return RemoteFolder(listing, session, meter, owned=owned)


def _split(locator: str) -> tuple[Callable[[str], str], str]:
    """The addresses of a folder's files by name, and the name of the one that the locator names."""
    parts = urlsplit(locator)
    if not parts.hostname or "@" in parts.netloc:
        raise bad_locator("an address needs a host, and no password in it", public_address(locator))
    path, _, last = parts.path.rpartition("/")
    name = unquote(last)
    if name in INDEXES or (is_weight_file(name) and safe_name(name)):
        base = path
    else:
        base, name = parts.path.rstrip("/"), ""

    def address(file: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, f"{base}/{quote(file)}", parts.query, ""))

    return address, name


def _choice(folder: Callable[[str], str], session: RemoteSession, meter: Meter, named: str) -> Choice:
    """By the index that the address names, else by the usual names in turn."""
    for index, single in USUAL:
        if named and index != named:
            continue
        mapping = _mapping(folder(index), session, meter) if index else None
        if mapping is not None:
            return Choice(tuple(sorted(set(mapping.values()))), mapping)
        if _is_there(folder(single), session, meter):
            return Choice((single,))
    # What is not there either is told by the place itself.
    return Choice((SINGLE,))


def _is_there(address: str, session: RemoteSession, meter: Meter) -> bool:
    """Whether the place has it. One that fails is asked for the file itself, and its failure is told."""
    try:
        return session.run(session.client.size_of(address, {}, meter)) is not None
    except Transient:
        return True
    except ReadError as error:
        if error.code == "budget-spent":
            raise
        return True


def _mapping(address: str, session: RemoteSession, meter: Meter) -> dict[str, str] | None:
    """The index's map of tensors to files; None where there is no index."""
    try:
        raw = session.run(session.client.body(address, {}, meter, MAX_JSON))
    except ReadError as error:
        if error.code not in NOT_THERE:
            raise
        return None
    return weight_map_of(raw, public_address(address))


async def _look(
    session: RemoteSession, meter: Meter, folder: Callable[[str], str], sources: Sequence[HttpSource]
) -> tuple[dict[str, int | None], list[bytes]]:
    """Side files that are there, with sizes, and the first bytes of every weight file; all at once."""
    asked = [asyncio.create_task(_side_file(session, meter, folder(n))) for n in ASKED_FOR]
    begun = [asyncio.create_task(_first(s, meter)) for s in sources]
    try:
        sizes, firsts = await asyncio.gather(asyncio.gather(*asked), asyncio.gather(*begun))
    except BaseException:
        for task in (*asked, *begun):
            task.cancel()
        raise
    found = zip(ASKED_FOR, sizes, strict=True)
    return {n: None if s < 0 else s for n, s in found if s is not None}, firsts


async def _side_file(session: RemoteSession, meter: Meter, url: str) -> int | None:
    try:
        return await session.client.size_of(url, {}, meter)
    except Transient:
        return None
    except ReadError as error:
        if error.code == "budget-spent":
            raise
        return None


async def _first(source: HttpSource, meter: Meter) -> bytes:
    meter.reserve(PREFIX, 1, source.where)
    found = await source.fetch(0, PREFIX)
    meter.give_back(PREFIX - len(found))
    return found
