"""Every error code that the package raises, with its exit code, read from the source."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from parentage.errors import ParentageError

__all__ = ["Raised", "raised_codes"]

SOURCE = Path(__file__).resolve().parents[2] / "src"


@dataclass(frozen=True, order=True, slots=True)
class Raised:
    """A code, and the exit code of the error class that carries it."""

    exit_code: int
    code: str


def raised_codes(source: Path = SOURCE) -> tuple[Raised, ...]:
    """All codes, sorted by exit code; raises ``LookupError`` for a code that is not a literal."""
    found: set[Raised] = set()
    for path in sorted((source / "parentage").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.update(_in_module(ast.parse(path.read_text()), module))
    return tuple(sorted(found))


def _in_module(tree: ast.Module, module: str) -> Iterator[Raised]:
    helpers = {f.name: f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and _takes_code(f)}
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        if name in helpers and any(_raised_by(helpers[name], helpers, module)):
            yield from _through_helper(call, helpers[name], helpers, module)
        elif (kind := _error_class(name, module)) is not None:
            yield from _direct(call, kind, module)


def _takes_code(function: ast.FunctionDef) -> bool:
    return any(a.arg == "code" for a in (*function.args.args, *function.args.kwonlyargs))


def _error_class(name: str, module: str) -> type[ParentageError] | None:
    if not name.endswith(("Error", "Holds", "Differs")):
        return None
    found = getattr(importlib.import_module(module), name, None)
    return found if isinstance(found, type) and issubclass(found, ParentageError) else None


def _direct(call: ast.Call, kind: type[ParentageError], module: str) -> Iterator[Raised]:
    given = next((k.value for k in call.keywords if k.arg == "code"), None)
    if given is None:
        yield Raised(kind.exit_code, kind.default_code)
    elif isinstance(given, ast.Constant) and isinstance(given.value, str):
        yield Raised(kind.exit_code, given.value)
    elif not _handed_on(given):
        raise LookupError(f"{module}, line {call.lineno}: a code that is not a literal")


def _handed_on(value: ast.expr) -> bool:
    """``code=code`` in a helper, and ``code=error.code`` where an error is raised again."""
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
    return name == "code"


def _through_helper(
    call: ast.Call, helper: ast.FunctionDef, helpers: dict[str, ast.FunctionDef], module: str
) -> Iterator[Raised]:
    position = next((k for k, a in enumerate(helper.args.args) if a.arg == "code"), None)
    given = next((k.value for k in call.keywords if k.arg == "code"), None)
    if given is None and position is not None and position < len(call.args):
        given = call.args[position]
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        for kind in _raised_by(helper, helpers, module):
            yield Raised(kind.exit_code, given.value)
    elif given is not None and not _handed_on(given):
        raise LookupError(f"{module}, line {call.lineno}: a code that is not a literal")


def _raised_by(
    helper: ast.FunctionDef, helpers: dict[str, ast.FunctionDef], module: str
) -> Iterator[type[ParentageError]]:
    for call in (n for n in ast.walk(helper) if isinstance(n, ast.Call)):
        name = call.func.id if isinstance(call.func, ast.Name) else ""
        kind = _error_class(name, module)
        if kind is not None:
            yield kind
        elif name in helpers and name != helper.name:
            yield from _raised_by(helpers[name], helpers, module)
