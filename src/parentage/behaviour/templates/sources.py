"""Where a chat template lies: a file of its own, a tokenizer's config, or a GGUF file's values."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parentage.checkpoints.locators import PlaceKind, place_kind
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.places import open_file
from parentage.errors import ParentageError, TemplateError

__all__ = ["ChatTemplate", "read_templates"]

MAX_TEMPLATE = 2**20
MAX_CONFIG = 64 * 2**20
JINJA, CONFIG, OLD = "chat_template.jinja", "tokenizer_config.json", "chat_template.json"
GGUF_TOKENS = "tokenizer.ggml.tokens.json"
TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token")
Read = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """A template by name, the place that it was read from, its text, and the special tokens beside it."""

    name: str
    place: str
    text: str
    tokens: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """Of the text in UTF-8."""
        return hashlib.sha256(self.text.encode("utf-8", errors="surrogatepass")).hexdigest()


def read_templates(locator: str) -> tuple[ChatTemplate, ...]:
    """Every template of a model (``default`` first), or the one in a ``.jinja`` or ``.json`` file.

    Raises ``TemplateError`` (``template-missing``, ``template-malformed``) and what opening a model raises.
    """
    found = _from_file(locator) if place_kind(locator) is PlaceKind.LOCAL else None
    if found is None:
        with open_checkpoint(locator) as checkpoint:
            names = set(checkpoint.side_files) | set(checkpoint.files)

            def read(name: str) -> str | None:
                return checkpoint.read_text(name, MAX_CONFIG) if name in names else None

            found = _from_files(locator, read, _gguf_tokens(read, checkpoint.metadata))
    if not found:
        raise TemplateError(
            "no chat template lies here",
            code="template-missing",
            where=locator,
            hint="name a folder with a tokenizer_config.json or chat_template.jinja, or a GGUF file",
        )
    return tuple(sorted(found, key=lambda t: t.name != "default"))


def _from_file(locator: str) -> tuple[ChatTemplate, ...] | None:
    path = Path(locator)
    if path.is_file() and path.suffix == ".jinja":
        return (ChatTemplate("default", locator, _bounded_text(path, MAX_TEMPLATE), {}),)
    if path.is_file() and path.suffix == ".json":
        return _from_config(locator, _bounded_text(path, MAX_CONFIG))
    if path.is_dir() and not any(p.suffix == ".gguf" for p in path.iterdir()):

        def read(name: str) -> str | None:
            here = path / name
            return _bounded_text(here, MAX_CONFIG) if here.is_file() else None

        return _from_files(locator, read, {})
    return None


def _bounded_text(path: Path, most: int) -> str:
    with os.fdopen(open_file(path), "rb") as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise _malformed(str(path), f"larger than {most:,} bytes")
    return _decoded(data, str(path))


def _decoded(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed(where, "not UTF-8") from None


def _from_files(where: str, read: Read, tokens: Mapping[str, str]) -> tuple[ChatTemplate, ...]:
    config, own, old = read(CONFIG), read(JINJA), read(OLD)
    found = [] if config is None else list(_from_config(f"{where}/{CONFIG}", config))
    beside = {**tokens, **(_tokens(_object(f"{where}/{CONFIG}", config)) if config is not None else {})}
    if own is not None:
        # transformers takes the file of its own before the config's entry.
        found = [t for t in found if t.name != "default"]
        found.append(_checked("default", f"{where}/{JINJA}", own, beside))
    elif old is not None and not found:
        found += _from_config(f"{where}/{OLD}", old, beside)
    return tuple(found)


def _from_config(
    where: str, text: str, beside: Mapping[str, str] | None = None
) -> tuple[ChatTemplate, ...]:
    table = _object(where, text)
    tokens = _tokens(table) if beside is None else beside
    given = table.get("chat_template")
    if given is None:
        return ()
    if isinstance(given, str):
        return (_checked("default", where, given, tokens),)
    if not isinstance(given, list):
        raise _malformed(where, "chat_template is neither a text nor a list")
    return tuple(_named(where, entry, tokens) for entry in given[:16])


def _named(where: str, entry: Any, tokens: Mapping[str, str]) -> ChatTemplate:
    name, text = (entry.get("name"), entry.get("template")) if isinstance(entry, dict) else (None, None)
    if not isinstance(name, str) or not isinstance(text, str):
        raise _malformed(where, "an entry of chat_template has no name or no template")
    return _checked(name[:80], where, text, tokens)


def _checked(name: str, where: str, text: str, tokens: Mapping[str, str]) -> ChatTemplate:
    if len(text) > MAX_TEMPLATE:
        raise _malformed(where, f"a template of {len(text):,} characters")
    return ChatTemplate(name, where, text, dict(tokens))


def _object(where: str, text: str) -> dict[str, Any]:
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        raise _malformed(where, "not JSON") from None
    if not isinstance(table, dict):
        raise _malformed(where, "not a JSON object")
    return table


def _tokens(table: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name in TOKEN_NAMES:
        value = table.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str) and len(text) <= 200:
            found[name] = text
    return found


def _gguf_tokens(read: Read, metadata: Mapping[str, str]) -> dict[str, str]:
    """The first and last special token that a GGUF file names by number."""
    wanted = {"bos_token": "tokenizer.ggml.bos_token_id", "eos_token": "tokenizer.ggml.eos_token_id"}
    wanted = {name: key for name, key in wanted.items() if metadata.get(key, "").isdecimal()}
    try:
        listed = read(GGUF_TOKENS) if wanted else None
    except ParentageError:
        listed = None
    names = json.loads(listed) if listed is not None else []
    numbers = {name: int(metadata[key]) for name, key in wanted.items()}
    return {name: str(names[k])[:200] for name, k in numbers.items() if k < len(names)}


def _malformed(where: str, message: str) -> TemplateError:
    return TemplateError(message, code="template-malformed", where=where, hint="look at the file")
