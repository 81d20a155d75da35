"""Text that a model wrote, token by token, with how each was chosen: what ``generate`` saves."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent

__all__ = ["SCHEMA", "VERSION", "Generation", "SwitchSettings", "Token", "Writing"]

SCHEMA = "parentage.generation"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Token:
    """One new token. ``entropy``: nats, of the model's own next-token distribution there; ``mode``:
    "ordinary", or of the input that follows it: "latent" (an expected embedding) or "explicit" (the token's
    own). ``switched``: the mode changed here; ``forced``: the token was put in, not chosen by the model."""

    id: int
    text: str
    entropy: float
    mode: str
    switched: bool = False
    forced: bool = False


@dataclass(frozen=True, slots=True)
class Writing:
    """One answer. ``ended``: the model ended it; else the limit of tokens did."""

    seed: int
    text: str
    tokens: tuple[Token, ...]
    ended: bool

    @property
    def switches(self) -> int:
        """How often the mode changed."""
        return sum(t.switched for t in self.tokens)

    def share_of(self, mode: str) -> float:
        """Of the tokens, those in this mode; 0 where there are none."""
        return sum(t.mode == mode for t in self.tokens) / max(1, len(self.tokens))


@dataclass(frozen=True, slots=True)
class SwitchSettings:
    """SwiReasoning's parameters, by the names of its paper where it has one."""

    alpha: float
    beta: float
    window: int
    most_switches: int | Absent
    answer_tokens: int
    line_break: float


@dataclass(frozen=True, slots=True)
class Generation:
    """A run: ``prompt`` is the text given to the model, markers of turns included; ``template``: how it
    came about ("shipped", or why none was used). ``temperature`` 0 is greedy."""

    tool: str
    model: str
    prompt: str
    template: str
    most_tokens: int
    temperature: float
    switching: SwitchSettings | Absent
    writings: tuple[Writing, ...]
