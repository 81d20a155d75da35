"""The words of ``docs/errors.md`` for chat templates and interviews."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["INTERVIEW"]

_OTHER_TEMPLATE = (
    "Read the template before trusting the model's runtime with it; name another with `--template`."
)

INTERVIEW: Mapping[str, tuple[str, str]] = {
    "template-missing": (
        "No chat template lies in the place that was named.",
        "Name a folder with `tokenizer_config.json` or `chat_template.jinja`, a GGUF file, or the "
        "template itself.",
    ),
    "template-malformed": (
        "A tokenizer's config is no JSON object, or its chat template is no text, or larger than any is.",
        "Look at the file; fetch it again.",
    ),
    "template-syntax": (
        "A chat template is not Jinja.",
        "Fetch it again, or name another with `--template`.",
    ),
    "template-forbidden": (
        "A chat template reaches for what no template needs: attributes of Python's own, changes to what "
        "it is given, formats of its own making. It was not rendered any further.",
        _OTHER_TEMPLATE,
    ),
    "template-bounds": (
        "A chat template loops, recurses or grows beyond what any template needs. Rendering was stopped.",
        _OTHER_TEMPLATE,
    ),
    "template-refuses": (
        "A chat template refuses one plain question from a user, by its own `raise_exception`.",
        "Name the template that the model is used with by `--template`.",
    ),
    "template-fails": ("A chat template fails while it is rendered.", _OTHER_TEMPLATE),
}
