"""SwiReasoning's decisions for one sequence: when thinking is latent, when explicit, when it must end.

Source: Shi et al., arXiv 2510.05069. Plain numbers in and out, so that it is the same under any runtime:
an entropy and a proposed token each step; out come the token, the mode of the next input, and what is mixed
into it where the mode changes.

What the paper leaves open is decided as in the authors' code: latent thinking ends for good at a
``</think>`` that the model itself proposes, not at one that is injected (else the second stage of the cap
could never be reached); the tokens of the forced answer count from that of the switch which forces it.
Unlike there, a further switch does not begin that count anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from parentage.errors import UsageError

__all__ = ["EXPLICIT", "LATENT", "Decision", "Marks", "Settings", "Switcher"]

LATENT: Final = "latent"
EXPLICIT: Final = "explicit"


@dataclass(frozen=True, slots=True)
class Settings:
    """The paper's parameters, with its defaults.

    ``alpha``, ``beta``: share of the model's own next input that is kept at a switch to latent and to
    explicit thinking, at the first step; both rise to 1 at the last. ``window``: least steps of explicit
    thinking before a switch back. ``most_switches``: C, after which thinking is asked to end and, past 2C,
    an answer of ``answer_tokens`` is forced; None: no end is forced. ``line_break``: share of a line
    break's embedding in the first latent input (the authors' code takes .1; the paper does not speak of
    it).
    """

    alpha: float = 1.0
    beta: float = 0.7
    window: int = 512
    most_switches: int | None = None
    answer_tokens: int = 32
    line_break: float = 0.0

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "line_break"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise _senseless(f"{name.replace('_', '-')} must be from 0 to 1, not {getattr(self, name)}")
        if self.window < 0 or self.answer_tokens < 1:
            raise _senseless("the window must be 0 or more steps and the forced answer 1 token or more")
        if self.most_switches is not None and self.most_switches < 1:
            raise _senseless("the cap on switches must be 1 or more")


def _senseless(message: str) -> UsageError:
    return UsageError(message, code="generate-settings", hint="docs/generate.md tells what each does")


@dataclass(frozen=True, slots=True)
class Marks:
    """Token ids of the model's think marks, and of the words that end its thinking.

    ``conclude`` is injected between C and 2C switches (the paper: ``</think>``), ``answer`` past 2C.
    """

    begin: int
    end: int
    conclude: tuple[int, ...]
    answer: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """One step: the ``token`` that is written, and how the next input is made.

    ``mode`` LATENT: the input is the expected embedding; EXPLICIT: the token's. ``mixed``: id of the think
    mark that is mixed in because the mode changed, with ``kept`` of the expected embedding left; None
    otherwise. ``last``: the forced answer's tokens are spent.
    """

    token: int
    mode: str
    mixed: int | None = None
    kept: float = 1.0
    forced: bool = False
    last: bool = False


@dataclass(slots=True)
class Switcher:
    """The state of one sequence. ``total``: most new tokens, T in the paper's schedules."""

    settings: Settings
    marks: Marks
    total: int
    mode: str = LATENT
    switches: int = 0
    reference: float = math.inf
    stayed: int = 0
    steps: int = 0
    ended: bool = False
    left: int | None = None
    _waiting: list[int] = field(default_factory=list)

    def step(self, entropy: float, proposed: int) -> Decision:
        """Decide from the entropy (nats) of the model's raw next-token distribution."""
        forced = bool(self._waiting)
        token = self._waiting.pop(0) if forced else proposed
        self.ended = self.ended or proposed == self.marks.end
        changed = self._switch(entropy)
        if changed == EXPLICIT:
            self.switches += 1
            self._cap()
        if self.left is not None:
            self.left -= 1
        mode = EXPLICIT if self.ended else self.mode
        decision = self._decided(token, mode, changed, forced)
        self.steps += 1
        return decision

    def _switch(self, entropy: float) -> str | None:
        """The mode changed to, if it changes. The first step only sets the reference."""
        if self.steps == 0:
            self.reference = entropy
            return None
        self.stayed += 1
        if self.mode == LATENT and entropy < self.reference:
            return self._change(EXPLICIT, entropy)
        long_enough = self.stayed >= self.settings.window
        if self.mode == EXPLICIT and entropy > self.reference and long_enough and not self.ended:
            return self._change(LATENT, entropy)
        return None

    def _change(self, mode: str, entropy: float) -> str:
        self.mode, self.reference, self.stayed = mode, entropy, 0
        return mode

    def _cap(self) -> None:
        most = self.settings.most_switches
        if most is None or self.left is not None:
            return
        if self.switches > 2 * most:
            self._waiting = list(self.marks.answer)
            self.left = self.settings.answer_tokens
        elif self.switches >= most:
            self._waiting = list(self.marks.conclude)

    def _decided(self, token: int, mode: str, changed: str | None, forced: bool) -> Decision:
        last = self.left is not None and self.left <= 0
        if changed is None:
            return Decision(token, mode, forced=forced, last=last)
        latent = changed == LATENT
        start = self.settings.alpha if latent else self.settings.beta
        kept = start + (1.0 - start) * self.steps / self.total
        mark = self.marks.begin if latent else self.marks.end
        return Decision(token, mode, mark, kept, forced, last)
