"""Several rules in one merge: which makes what is the recipe's, and no rule is this one's own."""

from __future__ import annotations

from typing import Final

from parentage.errors import UsageError
from parentage.methods.method import Method, Parameters, Profile, Reader, Rule

__all__ = ["MIXED"]


def _prepare(reader: Reader, parameters: Parameters, profile: Profile, name: str) -> Rule:
    raise UsageError("a mixed merge is made part by part", code="method-unknown", where=name)


MIXED: Final[Method] = Method(
    id="mixed",
    relation="mixed-merge",
    about="each part of the model by the rule that the recipe gives it",
    paper="https://github.com/arcee-ai/mergekit/blob/main/docs/multimerge.md",
    rule=_prepare,
)
