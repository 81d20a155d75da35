"""Whatever goes wrong becomes one clear message on standard error, a stable code and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback

from parentage.errors import ParentageError, UsageError

__all__ = ["DEBUG", "report_failure", "usage_of"]

DEBUG = "PARENTAGE_DEBUG"
# Longer than any path that a system allows is of no use to a reader.
MOST_SHOWN = 600


def report_failure(error: Exception) -> int:
    """Say what happened; returns the exit code."""
    if isinstance(error, ParentageError):
        _say(error)
        if error.code == "internal":
            _trace(error)
        return error.exit_code
    problem = usage_of(error)
    if problem is not None:
        _say(problem)
        return problem.exit_code
    _say(
        ParentageError(
            f"this is a mistake of ours: {type(error).__name__}: {error}",
            where=_place(error),
            hint=f"report it, with the command and what {DEBUG}=1 prints",
        )
    )
    _trace(error)
    return ParentageError.exit_code


def usage_of(error: Exception) -> UsageError | None:
    """The parser's own errors (all of one class that the parser does not export) as ours."""
    formats = getattr(error, "format_message", None)
    if not callable(formats) or not isinstance(getattr(error, "exit_code", None), int):
        return None
    context = getattr(error, "ctx", None)
    command = getattr(context, "command_path", "parentage")
    return UsageError(str(formats()), hint=f"{command} --help")


def _say(error: ParentageError) -> None:
    from parentage.reports.wording import clipped

    lines = [f"error[{error.code}]: {clipped(error.message, MOST_SHOWN)}"]
    if error.where:
        lines.append(f"  where: {clipped(error.where, MOST_SHOWN)}")
    if error.hint:
        lines.append(f"  try:   {clipped(error.hint, MOST_SHOWN)}")
    _write("\n".join(lines) + "\n")


def _trace(error: Exception) -> None:
    if os.environ.get(DEBUG) == "1":
        _write("".join(traceback.format_exception(error)))


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return ""
    return f"{os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}"


def _write(text: str) -> None:
    # With standard error closed too, the exit code alone has to tell.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
