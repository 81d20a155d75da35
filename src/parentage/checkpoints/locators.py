"""What a locator names: a local path, or a model at a place on a network."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote

from parentage.checkpoints.remote.remote_choice import is_weight_file, safe_name
from parentage.checkpoints.remote.remote_errors import bad_locator

__all__ = ["HubModel", "PlaceKind", "at_revision", "hub_model", "place_kind", "split_adapter"]

SCHEME = re.compile(r"([a-z][a-z0-9+.\-]*)://", re.IGNORECASE | re.ASCII)
PART = r"[A-Za-z0-9][A-Za-z0-9._\-]{0,95}"
PLAIN = re.compile(rf"({PART})/{PART}(@[^@\s\\]{{1,200}})?", re.ASCII)
HUB = re.compile(rf"({PART}/{PART})(?:@([^@\s\\]{{1,200}}))?", re.ASCII)
# Revisions that hold a slash, as huggingface_hub's own file system reads them.
SPECIAL_REVISION = re.compile(r"(refs/(?:convert/[\w\-]+|pr/\d+))(?:/(.*))?", re.ASCII)


class PlaceKind(Enum):
    """What opens a locator."""

    LOCAL = "local"
    HUB = "hub"
    HTTP = "http"
    OBJECT_STORE = "object-store"


SCHEMES = {
    "hf": PlaceKind.HUB,
    "http": PlaceKind.HTTP,
    "https": PlaceKind.HTTP,
    "s3": PlaceKind.OBJECT_STORE,
    "gs": PlaceKind.OBJECT_STORE,
}


@dataclass(frozen=True, slots=True)
class HubModel:
    """A repository, the revision that was asked for, and a file or folder in it (empty: its root)."""

    repository: str
    revision: str | None
    path: str


def split_adapter(locator: str) -> tuple[str, str] | None:
    """The two places of ``BASE+ADAPTER``; None where a locator names one place.

    A path that is there names itself, whatever is in its name. An address may hold a ``+`` of its own:
    what follows it is an adapter only if that is an address too, or is there.
    """
    if "+" not in locator or _is_there(locator):
        return None
    for found in re.finditer(r"\+", locator):
        base, adapter = locator[: found.start()], locator[found.end() :]
        own_sign = "://" in base and not base.lower().startswith("hf://")
        if base and adapter and (not own_sign or "://" in adapter or _is_there(adapter)):
            return base, adapter
    return None


def place_kind(locator: str) -> PlaceKind:
    """The kind of place; raises ``UsageError`` (``usage-locator``) for a scheme that is not known.

    ``org/name`` is a model on the hub only when neither it nor ``org`` is there as a file or folder, so
    that a local path with a mistake in it is not asked for elsewhere. ``BASE+ADAPTER`` is local when both
    are.
    """
    pair = split_adapter(locator)
    if pair is not None:
        kinds = [place_kind(part) for part in pair]
        return next((k for k in kinds if k is not PlaceKind.LOCAL), PlaceKind.LOCAL)
    scheme = SCHEME.match(locator)
    if scheme is not None and not _is_there(locator):
        kind = SCHEMES.get(scheme[1].lower())
        if kind is None:
            raise bad_locator(f"{scheme[1]}:// is no kind of place", locator)
        return kind
    plain = PLAIN.fullmatch(locator)
    elsewhere = plain is not None and not is_weight_file(locator)
    if plain is None or not elsewhere or _is_there(locator) or _is_there(plain[1]):
        return PlaceKind.LOCAL
    return PlaceKind.HUB


def _is_there(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def hub_model(locator: str) -> HubModel:
    """Read ``hf://org/name[/path]``, ``hf://org/name@revision[/path]`` or ``org/name[@revision]``.

    A ``/`` within a revision is written ``%2F``, but in ``refs/pr/7`` and ``refs/convert/parquet``.
    """
    text = re.sub(r"(?i:^hf://)", "", locator).rstrip("/")
    before, at, after = text.partition("@")
    parts = before.split("/", 2)
    path = parts[2] if len(parts) > 2 else ""
    revision: str | None = None
    if at:
        if path:
            raise bad_locator("the revision stands after org/name, before a path in it", locator)
        special = SPECIAL_REVISION.fullmatch(after)
        revision, path = special.groups(default="") if special else _split(after)
    found = HUB.fullmatch("/".join(parts[:2]) + (f"@{revision}" if revision is not None else ""))
    if found is None or ".." in parts[1] or "--" in "".join(parts[:2]):
        raise bad_locator("this names no model on the hub", locator)
    if path and not safe_name(path):
        raise bad_locator("the path in the model leaves it", locator)
    return HubModel(found[1], revision, path)


def at_revision(locator: str, revision: str | None) -> str:
    """The locator of the very commit that was examined, to open it again later; others as they are."""
    pair = split_adapter(locator)
    if pair is not None and revision is not None:
        return _pair_at(pair, revision)
    if revision is None or place_kind(locator) is not PlaceKind.HUB:
        return locator
    model = hub_model(locator)
    path = f"/{model.path}" if model.path else ""
    return f"hf://{model.repository}@{quote(revision, safe='')}{path}"


def _pair_at(pair: tuple[str, str], revision: str) -> str:
    """Each of the two at its commit; places that have none come with none."""
    commits = revision.split("+")
    hubs = [place_kind(part) is PlaceKind.HUB for part in pair]
    if len(commits) != len(pair):
        left = iter(commits if len(commits) == sum(hubs) else [])
        commits = [next(left, "") if hub else "" for hub in hubs]
    return "+".join(at_revision(part, commit or None) for part, commit in zip(pair, commits, strict=True))


def _split(text: str) -> tuple[str, str]:
    revision, _, path = text.partition("/")
    return unquote(revision), path
