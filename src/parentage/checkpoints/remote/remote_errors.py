"""Every way in which reading over a network fails, each with its code.

What fails while a model is opened means that it is no input; the same failure later means that something
planned could not be read. An address is shown without its query, which may hold a signature or a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from parentage.checkpoints.formats.safetensors_header import shown
from parentage.errors import (
    CheckpointError,
    IndexFileError,
    InputMissingError,
    ParentageError,
    ReadError,
    UsageError,
)

__all__ = [
    "Transient",
    "absent_listing",
    "at_opening",
    "bad_index",
    "bad_locator",
    "budget_spent",
    "changed",
    "closed",
    "connection_failed",
    "escapes",
    "no_weights",
    "not_installed",
    "not_ranges",
    "offline",
    "other_format",
    "public_address",
    "range_wrong",
    "redirect_refused",
    "shard_absent",
    "status_failed",
    "too_large",
    "truncated",
    "web_page",
]

MAX_SHOWN = 400
LOGIN = (
    "log in (`hf auth login`, HF_TOKEN, or the store's own credentials) with an account that may read it"
)
LATER = "try again later; with a cache folder what was read is kept"


class Transient(Exception):
    """A failure that may pass; ``error`` is what to raise when it does not."""

    def __init__(self, error: ParentageError, retry_after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.retry_after = retry_after


def public_address(url: str) -> str:
    """Scheme, host and path of an address: no user, no password, no query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return shown(f"{parts.scheme}://{host}{parts.path}", MAX_SHOWN)


def _unread(code: str, message: str, where: str, hint: str) -> ReadError:
    return ReadError(message, code=code, where=where, hint=hint)


def status_failed(status: int, where: str, detail: str = "") -> ReadError:
    """The error for an HTTP status that is no success; ``detail`` is the server's word, shown escaped."""
    said = f"the server answered {status}" + (f": {shown(detail)}" if detail else "")
    if status == 401:
        return _unread("read-unauthorised", said, where, LOGIN)
    if status == 403:
        hint = "ask for access on the model's page, or log in with an account that has it"
        return _unread("read-forbidden", said, where, hint)
    if status in (404, 410):
        return _unread("read-absent", said, where, "check the name and the revision")
    return _status_of_server(status, said, where)


def _status_of_server(status: int, said: str, where: str) -> ReadError:
    if status == 416:
        return _unread("read-range-refused", said, where, "the file may have changed: begin again")
    if status == 429:
        return _unread("read-throttled", said, where, LATER)
    if status in (408, 425) or status >= 500:
        return _unread("read-server", said, where, LATER)
    return _unread("read-status", said, where, "check the address")


def connection_failed(kind: str, where: str, *, timed_out: bool) -> ReadError:
    """No answer, or none in time."""
    if timed_out:
        return _unread("read-timeout", "the server did not answer in time", where, LATER)
    hint = "check the address and the network"
    return _unread("read-unreachable", f"the connection failed ({kind})", where, hint)


def truncated(got: int, wanted: int, where: str) -> ReadError:
    """A body that ended early."""
    message = f"the answer ended after {got:,} of {wanted:,} bytes"
    return _unread("read-truncated", message, where, LATER)


def range_wrong(message: str, where: str) -> ReadError:
    """An answer that is not the range that was asked for."""
    return _unread(
        "read-range-wrong", message, where, "the server is at fault: fetch the file whole instead"
    )


def not_ranges(where: str) -> ReadError:
    """The server sends the whole file whatever is asked; it was not downloaded."""
    message = "the server ignores range requests and would send the whole file"
    return _unread("read-range-ignored", message, where, "download the model and name its folder")


def web_page(where: str) -> ReadError:
    """HTML came."""
    message = "a web page came instead of the file"
    return _unread("read-html", message, where, "open the address in a browser: it may want a login")


def changed(what: str, where: str) -> ReadError:
    """Another version of the file answers than before."""
    message = f"the file changed while it was examined: {shown(what)}"
    return _unread("read-changed", message, where, "begin again; pin a revision where the place has them")


def redirect_refused(message: str, where: str) -> ReadError:
    """A redirect that is not followed."""
    return _unread("read-redirect", message, where, "do not trust this address")


def too_large(limit: int, where: str) -> ReadError:
    """A small file that is not small."""
    return _unread("read-too-large", f"more than {limit:,} bytes", where, "do not trust this checkpoint")


def closed(where: str) -> ReadError:
    """Read after it was closed."""
    return _unread("read-closed", "the file is closed", where, "this is our mistake: please report it")


def budget_spent(
    asked: tuple[int, int], used: tuple[int, int], limits: tuple[int | None, int | None], where: str
) -> ReadError:
    """Refused before it was sent."""
    allowed = " and ".join(
        f"{limit:,} {unit}"
        for limit, unit in zip(limits, ("bytes", "requests"), strict=True)
        if limit is not None
    )
    message = (
        f"{asked[0]:,} bytes in {asked[1]:,} requests more were asked for; "
        f"{used[0]:,} bytes and {used[1]:,} requests of {allowed} are spent"
    )
    return _unread("budget-spent", message, where, "allow more, or examine less")


def _no_input(code: str, error: ReadError, hint: str = "") -> InputMissingError:
    return InputMissingError(error.message, code=code, where=error.where, hint=hint or error.hint)


_AT_OPENING: Mapping[str, Callable[[ReadError], InputMissingError]] = {
    "read-unauthorised": lambda e: _no_input("remote-unauthorised", e),
    "read-forbidden": lambda e: _no_input("remote-forbidden", e),
    "read-absent": lambda e: _no_input("remote-absent", e),
    "read-throttled": lambda e: _no_input("remote-unreachable", e),
    "read-server": lambda e: _no_input("remote-unreachable", e),
    "read-timeout": lambda e: _no_input("remote-unreachable", e),
    "read-unreachable": lambda e: _no_input("remote-unreachable", e),
    "read-truncated": lambda e: _no_input("remote-unreachable", e),
    "read-status": lambda e: _no_input("remote-refused", e),
    "read-redirect": lambda e: _no_input("remote-redirect", e),
    "read-html": lambda e: _no_input("remote-html", e),
    "read-range-ignored": lambda e: _no_input("remote-no-ranges", e),
    "read-range-refused": lambda e: _no_input("remote-no-ranges", e),
    "read-range-wrong": lambda e: _no_input("remote-no-ranges", e),
    "read-too-large": lambda e: _no_input("remote-too-large", e),
}


def at_opening(error: ReadError) -> ReadError | InputMissingError:
    """The same failure as it counts while a model is opened."""
    kind = _AT_OPENING.get(error.code)
    return error if kind is None else kind(error)


def bad_locator(message: str, where: str) -> UsageError:
    """A locator that names no place."""
    hint = "hf://org/name@revision, https://host/folder, s3://bucket/folder, gs://bucket/folder or a path"
    return UsageError(message, code="usage-locator", where=shown(where, MAX_SHOWN), hint=hint)


def not_installed(extra: str, where: str) -> UsageError:
    """A place that needs an optional package."""
    return UsageError(
        "reading from there needs a package that is not installed",
        code="usage-extra",
        where=shown(where, MAX_SHOWN),
        hint=f"pip install 'parentage[{extra}]'",
    )


def offline(where: str) -> InputMissingError:
    """HF_HUB_OFFLINE is set and the hub's cache lacks the model."""
    return InputMissingError(
        "the hub is not asked (HF_HUB_OFFLINE), and its cache does not hold the model",
        code="remote-offline",
        where=shown(where, MAX_SHOWN),
        hint="unset HF_HUB_OFFLINE, or download the model first",
    )


def absent_listing(message: str, where: str) -> CheckpointError:
    """The place's own list of files makes no sense."""
    return CheckpointError(
        message, code="remote-listing", where=shown(where, MAX_SHOWN), hint="check the address of the hub"
    )


def no_weights(where: str) -> CheckpointError:
    """Nothing to examine."""
    return CheckpointError(
        "there are no weights", code="no-weights", where=where, hint="name a model's folder or file"
    )


def other_format(names: list[str], where: str) -> CheckpointError:
    """Weights in formats that a folder is not searched for."""
    return CheckpointError(
        f"no weights in a format that is read; found {', '.join(shown(n) for n in names[:3])}",
        code="format-not-read",
        where=where,
        hint="name one of these files itself",
    )


def bad_index(code: str, message: str, where: str) -> IndexFileError:
    """A shard index that lies."""
    return IndexFileError(message, code=code, where=where, hint="do not trust this checkpoint")


def escapes(name: str, where: str) -> IndexFileError:
    """A file name that leads out of the folder."""
    return bad_index("index-escapes", f"{shown(name)} leaves the folder", where)


def shard_absent(name: str, where: str) -> IndexFileError:
    """A shard that the place does not hold."""
    return bad_index("index-absent-shard", f"shard {shown(name)} is not there", where)
