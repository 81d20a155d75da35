"""The error tree. Every error carries a stable code that ``docs/errors.md`` explains.

Exit codes (a command maps an error class to one of these):
0 the plan was completed; 1 our fault; 2 usage; 3 nothing could be examined;
4 something planned could not be read; 5 the condition that was asked for does not hold.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AlignmentError",
    "CardError",
    "CheckpointError",
    "EndpointError",
    "EvidenceError",
    "HeaderError",
    "IndexFileError",
    "InputMissingError",
    "LabelError",
    "OutputError",
    "ParentageError",
    "PlanError",
    "ReadError",
    "RecipeError",
    "RuntimeModelError",
    "TemplateError",
    "TrainingError",
    "UsageError",
]


class ParentageError(Exception):
    """What happened, where, and what to try.

    ``code`` is stable and kebab-case; ``where`` names a file, tensor or byte; ``hint`` says what to try.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, code: str | None = None, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        place = f" [{self.where}]" if self.where else ""
        hint = f" Try: {self.hint}" if self.hint else ""
        return f"{self.message}{place} ({self.code}){hint}"


class UsageError(ParentageError):
    """The command was asked for something that makes no sense."""

    exit_code = 2
    default_code = "usage"


class CheckpointError(ParentageError):
    """A checkpoint could not be opened or is malformed."""

    exit_code = 3
    default_code = "checkpoint"


class InputMissingError(CheckpointError):
    """A file or folder that was named does not exist or may not be read."""

    default_code = "input-missing"


class HeaderError(CheckpointError):
    """A safetensors header lies about its file."""

    default_code = "header"


class IndexFileError(CheckpointError):
    """A shard index lies about its folder."""

    default_code = "index"


class ReadError(ParentageError):
    """Something that was planned could not be read."""

    exit_code = 4
    default_code = "read"


class AlignmentError(CheckpointError):
    """No tensor of one checkpoint meets a tensor of the other."""

    default_code = "nothing-aligned"


class RecipeError(ParentageError):
    """A merge recipe is malformed, asks for what is not supported, or makes no sense."""

    exit_code = 2
    default_code = "recipe"


class PlanError(CheckpointError):
    """The models of a recipe cannot be merged as it says."""

    default_code = "plan"


class TemplateError(CheckpointError):
    """A chat template is missing, malformed, or does what no template may."""

    default_code = "template-malformed"


class CardError(ParentageError):
    """A model card, its history or the words to read it with are not what they claim to be."""

    exit_code = 2
    default_code = "card"


class EndpointError(CheckpointError):
    """A model that is to be asked cannot be reached, or does not answer as its interface says."""

    default_code = "endpoint-unreachable"


class RuntimeModelError(CheckpointError):
    """A local runtime could not load a model that is to be asked."""

    default_code = "runtime-load"


class TrainingError(ParentageError):
    """A training run could not go on; what it had saved is kept."""

    exit_code = 4
    default_code = "training"


class EvidenceError(ParentageError):
    """A saved evidence or report file is not what it claims to be."""

    exit_code = 2
    default_code = "evidence"


class LabelError(ParentageError):
    """What a label or a signature says is not so."""

    exit_code = 5
    default_code = "label-differs"


class OutputError(ParentageError):
    """An output could not be written; nothing half-written was left."""

    exit_code = 1
    default_code = "output"
