"""From the words of a command to a target: an address, a GGUF file, a folder, a file of answers."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from parentage.behaviour.endpoints.client import Limits
from parentage.behaviour.endpoints.endpoint import Endpoint
from parentage.behaviour.runtimes.llama import LlamaServer
from parentage.behaviour.runtimes.transformers_model import TransformersModel
from parentage.behaviour.targets import Target
from parentage.behaviour.templates.sources import ChatTemplate, read_templates
from parentage.errors import ParentageError, UsageError

__all__ = ["Spec", "open_target", "spec_of", "template_of"]

ENDPOINT, GGUF, SAVED, FOLDER = "endpoint", "gguf", "answers", "folder"


@dataclass(frozen=True, slots=True)
class Spec:
    """Who is to be asked. ``template``: where its chat template lies; ``model``: its name there."""

    locator: str
    kind: str
    model: str | None
    template: str | None


def spec_of(words: str, *, model: str | None = None, template: str | None = None) -> Spec:
    """``http://host/v1#model=NAME&template=PLACE``, ``model.gguf``, ``answers.jsonl``, a folder or hub id.

    Raises ``UsageError`` (``interview-target``).
    """
    locator, _, rest = words.partition("#")
    given = dict(parse_qsl(rest, keep_blank_values=True))
    unknown = sorted(set(given) - {"model", "template"})
    if unknown or not locator:
        raise UsageError(
            f"after # stand model and template, not {', '.join(unknown) or 'nothing'}",
            code="interview-target",
            where=words,
            hint="http://localhost:8080/v1#model=NAME&template=./folder",
        )
    kind = FOLDER
    if locator.startswith(("http://", "https://")):
        kind = ENDPOINT
    elif locator.endswith(".gguf"):
        kind = GGUF
    elif locator.endswith(".jsonl"):
        kind = SAVED
    return Spec(locator, kind, given.get("model", model), given.get("template", template))


def template_of(spec: Spec) -> tuple[ChatTemplate | None, str]:
    """The chat template, or why there is none; one that is named must be read. ``TemplateError``."""
    if spec.template is not None:
        return read_templates(spec.template)[0], ""
    if spec.kind == ENDPOINT:
        return None, "an endpoint does not show its template; name it with --template"
    try:
        return read_templates(spec.locator)[0], ""
    except ParentageError as error:
        if error.code == "template-missing":
            return None, error.message
        raise


def open_target(spec: Spec, key: str | None, limits: Limits) -> Target:
    """The target, not yet reached."""
    if spec.kind == ENDPOINT:
        return Endpoint(spec.locator, spec.model, key, limits)
    if spec.kind == GGUF:
        return LlamaServer(spec.locator, limits)
    return TransformersModel(spec.locator)
