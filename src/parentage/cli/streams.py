"""Standard output: text for people, pure JSON for pipes, and readers that leave early."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from parentage.errors import OutputError

__all__ = ["emit_json", "plain_text", "printing"]


@contextmanager
def printing() -> Iterator[None]:
    """Print inside. A reader that left (``| head``) is no error; a full disk is, once and clearly."""
    try:
        yield
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit):
        # Where the reader left, rich and typer end the process themselves; nothing else here does.
        _discard_the_rest()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        _discard_the_rest()
        raise OutputError(
            f"standard output took no more: {error.strerror}",
            code="output-no-space",
            where="standard output",
            hint="free some space or write elsewhere",
        ) from None


def _discard_the_rest() -> None:
    # What is still buffered would fail again when the interpreter ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def emit_json(text: str) -> None:
    """Write JSON to standard output as UTF-8, whatever encoding the terminal has."""
    # An undecodable file name holds half a surrogate pair, which no encoding writes.
    data = text.encode("utf-8", errors="backslashreplace")
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    buffer.write(data)


def plain_text(text: str) -> None:
    """Write one line to standard output, with what would steer a terminal shown as escapes."""
    from parentage.reports.wording import visible

    sys.stdout.write(f"{visible(text)}\n")
