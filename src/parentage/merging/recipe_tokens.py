"""Which tokenizer the output has, and where the rows of its tokens come from."""

from __future__ import annotations

import yaml

from parentage.errors import RecipeError
from parentage.merging.recipe_nodes import Reading, is_null
from parentage.merging.recipe_values import model_name
from parentage.records.recipe import ModelName, TokenizerChoice, TokenSource

__all__ = ["read_tokenizer"]

WORDS = ("union", "base")


def read_tokenizer(reading: Reading, table: dict[str, yaml.Node]) -> TokenizerChoice | None:
    """``tokenizer_source``, or the fuller ``tokenizer``; None where the recipe has neither."""
    if "tokenizer" in table and "tokenizer_source" in table:
        message = "tokenizer and tokenizer_source exclude each other"
        raise RecipeError(
            message, code="recipe-shape", where=reading.at(table["tokenizer"]), hint="keep one of the two"
        )
    if "tokenizer_source" in table:
        return TokenizerChoice(_source(reading, table["tokenizer_source"], "tokenizer_source"))
    return _tokenizer(reading, table["tokenizer"]) if "tokenizer" in table else None


def _source(reading: Reading, node: yaml.Node, what: str) -> str | ModelName:
    if isinstance(node, yaml.ScalarNode) and node.value in WORDS:
        return str(node.value)
    return model_name(reading, node, what)


def _tokenizer(reading: Reading, node: yaml.Node) -> TokenizerChoice:
    table = {k: v for k, v in reading.table(node, "tokenizer").items() if not is_null(v)}
    reading.known(table, ("source", "tokens", "pad_to_multiple_of"), "tokenizer")
    source = _source(reading, table["source"], "tokenizer.source") if "source" in table else "union"
    tokens = reading.table(table["tokens"], "tokenizer.tokens") if "tokens" in table else {}
    pad = None
    if "pad_to_multiple_of" in table:
        pad = reading.whole(table["pad_to_multiple_of"], "pad_to_multiple_of")
        if not 0 < pad <= 2**20:
            raise reading.shape(
                "pad_to_multiple_of", "a number from 1 to 1,048,576", table["pad_to_multiple_of"]
            )
    return TokenizerChoice(source, {name: _token(reading, n) for name, n in tokens.items()}, pad)


def _token(reading: Reading, node: yaml.Node) -> TokenSource:
    table = {k: v for k, v in reading.table(node, "a token").items() if not is_null(v)}
    reading.known(table, ("source", "force"), "a token")
    force = reading.scalar(table["force"], "force") if "force" in table else False
    if not isinstance(force, bool):
        raise reading.shape("force", "true or false", table["force"])
    if "source" not in table:
        raise RecipeError(
            "a token's source is missing",
            code="recipe-shape",
            where=reading.at(node),
            hint="source: a model",
        )
    source = table["source"]
    if not isinstance(source, yaml.MappingNode) or "kind" not in reading.table(source, "source"):
        return TokenSource(model_name(reading, source, "source"), force=force)
    return _by_kind(reading, source, force)


def _by_kind(reading: Reading, node: yaml.Node, force: bool) -> TokenSource:
    table = {k: v for k, v in reading.table(node, "source").items() if not is_null(v)}
    reading.known(table, ("kind", "model", "token", "token_id"), "source")
    kind = reading.text(table["kind"], "kind")
    if kind == "zero":
        return TokenSource(None, force=force)
    if kind != "model_token" or "model" not in table or ("token" in table) == ("token_id" in table):
        raise reading.shape("source", "kind zero, or model_token with model and token or token_id", node)
    model = model_name(reading, table["model"], "source.model")
    if "token_id" in table:
        return TokenSource(model, reading.whole(table["token_id"], "token_id"), force)
    return TokenSource(model, reading.text(table["token"], "token"), force)
