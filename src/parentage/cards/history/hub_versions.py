"""Versions of a card on the hub, and of its weight files: its commits, and the files as of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from parentage.cards.history.versions import MAX_CARD, MOST_VERSIONS, TextVersion
from parentage.cards.history.weight_files import FilesVersion, weight_names
from parentage.checkpoints.locators import hub_model
from parentage.checkpoints.remote.hub_place import HubEntry, hub_files
from parentage.errors import CardError, ReadError
from parentage.records.absence import Absent
from parentage.records.weight_history import WeightFile

if TYPE_CHECKING:
    from parentage.checkpoints.remote.remote_session import RemoteSession

__all__ = ["hub_versions", "hub_weights"]

CARD: Final = "README.md"
AS_PUBLISHED: Final = "SHA-256 of weight files are those that the hub publishes; their bytes were not read."
NOT_PUBLISHED: Final = Absent("the hub publishes no SHA-256 of it")


def hub_versions(locator: str, session: RemoteSession) -> tuple[tuple[TextVersion, ...], tuple[str, ...]]:
    """Versions of the card, oldest first; commits that leave it as it was are none.

    The hub lists commits through ``huggingface_hub``; each card is one bounded request. Raises
    ``CardError`` (``card-history``), ``ReadError``.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils._headers import build_hf_headers

    model = hub_model(locator)
    endpoint = (session.hub_endpoint or constants.ENDPOINT).rstrip("/")
    sent = build_hf_headers(token=session.hub_token)
    headers = {k: v for k, v in sent.items() if k.lower() == "authorization"}
    commits = _commits(model.repository, model.revision, endpoint, session.hub_token)
    limits: tuple[str, ...] = ()
    if len(commits) > MOST_VERSIONS:
        limits = (f"only the newest {MOST_VERSIONS} of {len(commits):,} commits were read",)
    meter = session.meter()
    found: list[TextVersion] = []
    for revision, when in reversed(commits[:MOST_VERSIONS]):
        url = f"{endpoint}/{model.repository}/resolve/{quote(revision, safe='')}/{CARD}"
        try:
            raw = session.run(session.client.body(url, headers, meter, MAX_CARD, cut=True))
        except ReadError as error:
            if error.code != "read-absent":
                raise
            raw = b""
        text = raw.decode("utf-8", errors="replace")
        if not found or found[-1].text != text:
            found.append(TextVersion(revision, when, text))
    return tuple(found), limits


def hub_weights(
    locator: str, session: RemoteSession
) -> tuple[tuple[FilesVersion, ...], bool, tuple[str, ...]]:
    """Weight files as of every commit, oldest first, whether that is all, and limits.

    One request a commit, none for a byte of a file. Raises ``CardError`` (``card-history``), ``ReadError``.
    """
    from huggingface_hub import constants

    model = hub_model(locator)
    endpoint = (session.hub_endpoint or constants.ENDPOINT).rstrip("/")
    commits = _commits(model.repository, model.revision, endpoint, session.hub_token)
    meter = session.meter()
    found = []
    for revision, when in reversed(commits[:MOST_VERSIONS]):
        _, entries = hub_files(f"hf://{model.repository}@{revision}", session, meter)
        names = weight_names(entries)
        found.append(FilesVersion(revision, when, tuple(_file(n, entries[n]) for n in names)))
    limits: tuple[str, ...] = (AS_PUBLISHED,) if any(v.files for v in found) else ()
    if len(commits) > MOST_VERSIONS:
        limits = (*limits, f"only the newest {MOST_VERSIONS} of {len(commits):,} commits were looked at")
    return tuple(found), len(commits) <= MOST_VERSIONS, limits


def _file(name: str, entry: HubEntry) -> WeightFile:
    own = Absent("the hub does not tell it") if entry.object_id is None else entry.object_id
    return WeightFile(name, entry.size, entry.sha256 or NOT_PUBLISHED, own)


def _commits(
    repository: str, revision: str | None, endpoint: str, token: str | None
) -> list[tuple[str, str]]:
    """(commit, date) from the newest on."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    # Its bases are the errors of whichever HTTP library this version of it uses, and OSError.
    failures: tuple[type[BaseException], ...] = (*HfHubHTTPError.__bases__, ValueError, KeyError, TypeError)
    try:
        listed = HfApi(endpoint=endpoint, token=token).list_repo_commits(repository, revision=revision)
    except failures as error:
        raise CardError(
            f"the hub does not list the commits ({type(error).__name__})",
            code="card-history",
            where=f"{endpoint}/{repository}",
            hint="check the name, log in, or name a clone of the repository",
        ) from None
    return [(str(c.commit_id), c.created_at.isoformat()) for c in listed]
