"""What lies beside the weights of a merge: config, tokenizer, chat template, taken over from a parent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from parentage.checkpoints.checkpoint import Checkpoint
from parentage.checkpoints.licence_names import is_licence_file
from parentage.errors import PlanError
from parentage.merging.groups import output_layers
from parentage.merging.named_templates import NAMED
from parentage.merging.planned import Plan
from parentage.merging.vocabularies import Vocabulary
from parentage.records.recipe import ModelName

__all__ = ["side_files"]

# A tokenizer of a vocabulary of 256,000 tokens has 33 MB.
MAX_SIDE: Final = 256 * 2**20
LAYER_COUNTS: Final = ("num_hidden_layers", "n_layer", "num_layers")
OWN: Final = frozenset(
    {
        "README.md",
        "config.json",
        "mergekit_config.yml",
        "merge-recipe.yaml",
        "parentage.json",
        "parentage.intoto.json",
        "parentage.cdx.json",
    }
)
TEMPLATE: Final = "chat_template.jinja"


def side_files(plan: Plan, opened: Mapping[ModelName, Checkpoint]) -> dict[str, bytes]:
    """Files by name: the template model's, its config brought up to date; a tokenizer's from its source.

    Raises ``PlanError`` (``plan-chat-template``) for a template that is none.
    """
    template = opened[plan.template]
    found = {
        name: template.folder.read_side_file(name, MAX_SIDE)
        for name in template.files
        if name not in OWN and not name.endswith(".index.json") and not is_licence_file(name)
    }
    if plan.vocabulary is not None:
        found = {name: data for name, data in found.items() if not _of_tokenizer(name)}
        found |= _tokenizer_files(plan.vocabulary, opened[plan.vocabulary.source])
    config = _config(plan, template)
    if config is not None:
        found["config.json"] = (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()
    text = _chat_template(plan, opened)
    if text is not None:
        found[TEMPLATE] = text.encode()
        found = {name: _without_template(name, data) for name, data in found.items()}
    return found


def _of_tokenizer(name: str) -> bool:
    named = name in ("merges.txt", "special_tokens_map.json", "added_tokens.json")
    return named or name.startswith(("tokenizer", "vocab")) or name.endswith(".model")


def _tokenizer_files(vocabulary: Vocabulary, source: Checkpoint) -> dict[str, bytes]:
    """The source's tokenizer, and in it the tokens that it lacked.

    Raises ``PlanError`` (``plan-vocabulary``) where tokens are to be added to files that cannot hold them.
    """
    found = {
        name: source.folder.read_side_file(name, MAX_SIDE) for name in source.files if _of_tokenizer(name)
    }
    if not vocabulary.added:
        return found
    if "tokenizer.json" not in found:
        raise PlanError(
            f"{len(vocabulary.added):,} tokens would be added to a tokenizer that is no tokenizer.json",
            code="plan-vocabulary",
            where=source.locator,
            hint="tokenizer: {source: base} takes the vocabulary as it is",
        )
    table = json.loads(found["tokenizer.json"])
    listed = table.setdefault("added_tokens", [])
    listed += [_added(token, row) for token, row in vocabulary.added.items()]
    found["tokenizer.json"] = (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode()
    return found


def _added(token: str, row: int) -> dict[str, Any]:
    """An entry as the tokenizers library writes it: the text as it stands, nothing stripped."""
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {"id": row, "content": token, **flags}


def _config(plan: Plan, template: Checkpoint) -> dict[str, Any] | None:
    if template.config is None:
        return None
    config = json.loads(json.dumps(template.config))
    inner = config.get("text_config")
    tables = [config, inner] if isinstance(inner, dict) else [config]
    if plan.recipe.slices:
        _relayer(plan, tables)
    if plan.vocabulary is not None:
        for table in tables:
            if "vocab_size" in table:
                table["vocab_size"] = plan.vocabulary.rows
    if plan.recipe.out_dtype or (plan.recipe.dtype and plan.profile.startswith("mergekit")):
        for table in tables:
            for key in ("torch_dtype", "dtype"):
                if key in table:
                    table[key] = plan.recipe.out_dtype or plan.recipe.dtype
    return dict(config)


def _relayer(plan: Plan, tables: list[dict[str, Any]]) -> None:
    """The number of layers, and lists that say something of each layer, in the output's order."""
    order = output_layers(plan.recipe, plan.layouts)
    depth = plan.layouts[plan.template].layers
    for table in tables:
        for key, value in table.items():
            if key in LAYER_COUNTS and value == depth:
                table[key] = len(order)
            elif isinstance(value, list) and len(value) == depth and "layer" in key:
                table[key] = [value[number] if number < depth else value[-1] for _, number in order]


def _chat_template(plan: Plan, opened: Mapping[ModelName, Checkpoint]) -> str | None:
    wanted = plan.recipe.chat_template
    if wanted is None:
        return None
    if wanted == "auto":
        found = [t for c in opened.values() if (t := _template_of(c)) is not None]
        # The one that most parents have; of equally common ones, the first.
        return max(found, key=lambda t: (found.count(t), -found.index(t))) if found else None
    if "{" not in wanted and wanted not in NAMED:
        raise PlanError(
            f"chat_template: {wanted[:40]!r} is neither auto, nor a name that is known, nor a template",
            code="plan-chat-template",
            hint=f"give the template's text, auto, or one of {', '.join(NAMED)}",
        )
    return NAMED.get(wanted, wanted)


def _template_of(checkpoint: Checkpoint) -> str | None:
    if TEMPLATE in checkpoint.files:
        return checkpoint.read_text(TEMPLATE).strip()
    if "tokenizer_config.json" not in checkpoint.files:
        return None
    try:
        table = json.loads(checkpoint.read_text("tokenizer_config.json", 2**24))
    except (ValueError, RecursionError):
        return None
    text = table.get("chat_template") if isinstance(table, dict) else None
    return text.strip() if isinstance(text, str) else None


def _without_template(name: str, data: bytes) -> bytes:
    """A tokenizer's own config no longer carries another template."""
    if name != "tokenizer_config.json":
        return data
    try:
        table = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(table, dict) or "chat_template" not in table:
        return data
    table.pop("chat_template")
    return (json.dumps(table, indent=2, ensure_ascii=False) + "\n").encode()
