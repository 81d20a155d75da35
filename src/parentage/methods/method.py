"""What a merge method is: declared parameters, passes over its operands, then a rule applied in chunks.

A method never holds a tensor. ``prepare`` reads as often as it must, through a ``Reader``, and keeps what
does not grow with the tensor (norms, thresholds, a few coefficients); the ``Rule`` that it returns turns
operands into storage bits, chunk by chunk. The same bits come out whatever the chunks and their order.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from parentage.errors import UsageError
from parentage.methods.parameters import Declared, Parameters, Value
from parentage.records.dtypes import DType

__all__ = [
    "BASE_FORBIDDEN",
    "BASE_IGNORED",
    "BASE_OPTIONAL",
    "BASE_REQUIRED",
    "ONE_ARITHMETIC",
    "PROFILES",
    "Bits",
    "BitsReader",
    "BitsRule",
    "Declared",
    "Method",
    "Parameters",
    "Prepare",
    "Profile",
    "Reader",
    "Rule",
    "Value",
    "Values",
    "bits_reader",
    "keeps",
    "once",
]

T = TypeVar("T")
Values = NDArray[np.float32]
Bits = NDArray[np.unsignedinteger]

BASE_REQUIRED: Final = "required"
BASE_OPTIONAL: Final = "optional"
BASE_IGNORED: Final = "ignored"
BASE_FORBIDDEN: Final = "forbidden"

# ``linear/ID``: one arithmetic of linear merges by its id, as an audit names it (``methods.linear``).
ONE_ARITHMETIC: Final = "linear/"
PROFILES: Final[Mapping[str, str]] = {
    "parentage-1": "float32 without fused operations, sums in float64, draws from (seed, tensor, index)",
    "mergekit-0.1.5": "operands cast to the recipe's dtype first, then as mergekit 0.1.5 on one thread",
    "mergekit-0.1.4": "as mergekit 0.1.4: 16-bit weights, products and sums where the recipe says 16 bits",
    "peft": "adapters as peft merges them, in the dtype of the base",
    "sd-mecha": "image-model merges as sd-mecha computes them",
    "bf16-scalar": "each product and each sum rounded to 16 bits, as in scripts",
}


class Reader(Protocol):
    """One tensor's operands, in the recipe's order. Every call of ``chunks`` begins anew.

    ``models``: operands, the base included; ``base``: the index of the base among them, or None;
    ``dtypes``: how each is stored. ``chunks`` yields (first element, exact values [models, n] float32) in
    ascending order without gaps; with ``rows`` each chunk is whole rows (of the last dimension). ``read``:
    values [models, count] from any element on.
    """

    @property
    def models(self) -> int: ...
    @property
    def base(self) -> int | None: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def elements(self) -> int: ...
    @property
    def dtypes(self) -> tuple[DType, ...]: ...
    def chunks(self, rows: bool = False) -> Iterator[tuple[int, Values]]: ...
    def read(self, start: int, count: int) -> Values: ...


def keeps(reader: Reader) -> bool:
    """Does the reader keep what passes over its operands come to (``once``)?"""
    return getattr(reader, "known", None) is not None


def once(reader: Reader, what: Hashable, work: Callable[[], T]) -> T:
    """What passes over the operands come to that no parameter moves: worked out once where the reader keeps
    such (``known``), for one that a search replays hundreds of recipes on. ``what`` names it, with all that
    it depends on beside the operands."""
    known: dict[Hashable, Any] | None = getattr(reader, "known", None)
    if known is None:
        return work()
    if what not in known:
        known[what] = work()
    found: T = known[what]
    return found


@runtime_checkable
class BitsReader(Protocol):
    """A reader that hands out storage bits [models, count] of bfloat16 operands (``bits_reader``), in
    ``room`` [models * count] where one is given."""

    def read_bits(
        self, start: int, count: int, room: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint16]: ...


def bits_reader(reader: Reader) -> BitsReader | None:
    """The reader, where its operands' bits may be read undecoded: all bfloat16, and none kept decoded."""
    narrow = all(d is DType.BF16 for d in reader.dtypes) and not keeps(reader)
    return reader if narrow and isinstance(reader, BitsReader) else None


@runtime_checkable
class BitsRule(Protocol):
    """A rule that may work on bfloat16 operands as they are stored, without a decoded copy of them: the
    same bits come out. ``on_bits``: it does so for this tensor."""

    @property
    def on_bits(self) -> bool: ...
    def apply_bits(
        self, start: int, bits: NDArray[np.uint16], out: NDArray[np.uint16] | None = None
    ) -> NDArray[np.uint16]:
        """As ``apply``, of storage bits [models, n]; in ``out`` [n] where it is given."""
        ...


class Rule(Protocol):
    """What a recipe comes to for one tensor.

    Chunks given to ``apply`` begin at a multiple of ``granularity`` (1, or the length of a row) and hold a
    multiple of it. They may come in any order; none depends on another.
    """

    @property
    def granularity(self) -> int: ...
    def apply(self, start: int, values: Values) -> Bits:
        """Storage bits [n] in the profile's ``out`` of operands [models, n] from element ``start`` on."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """An arithmetic, by tool and version (``PROFILES``), and the dtypes of one tensor.

    ``dtype``: the recipe's, which tools cast operands to first and compute in; ``out``: what is stored.
    Raises ``UsageError`` (``profile-unknown``, ``dtype-not-merged``).
    """

    id: str
    dtype: DType
    out: DType

    def __post_init__(self) -> None:
        if self.id not in PROFILES and not self.id.startswith(ONE_ARITHMETIC):
            raise UsageError(
                f"no arithmetic is called {self.id!r}", code="profile-unknown", hint=", ".join(PROFILES)
            )
        for d in (self.dtype, self.out):
            if d not in (DType.BF16, DType.F16, DType.F32):
                raise UsageError(f"merges are not computed in {d.value}", code="dtype-not-merged")

    @property
    def ours(self) -> bool:
        """Our own arithmetic, not a tool's."""
        return self.id.startswith("parentage")


Prepare = Callable[[Reader, Parameters, Profile, str], Rule]


@dataclass(frozen=True, slots=True)
class Method:
    """A merge method. ``id`` as recipes spell it; ``relation``: the report's id of such merges.

    ``models``: least and most operands, the base included; ``others``: those that are not the base.
    ``profiles``: the arithmetics it exists in.
    ``adapters``: it combines adapters over one base (``Parameters.additions``).
    ``optional``: what becomes of a tensor that only some models have ("error", "copy-single",
    "copy-base", "base-or-skip").
    """

    id: str
    relation: str
    about: str
    paper: str
    rule: Prepare
    parameters: tuple[Declared, ...] = ()
    base: str = BASE_IGNORED
    models: tuple[int, int] = (1, 1024)
    others: tuple[int, int] = (0, 1024)
    profiles: tuple[str, ...] = ("parentage-1", "mergekit-0.1.5")
    optional: str = "error"
    random: Callable[[Reader, Parameters, Profile], int] | None = None
    adapters: bool = False

    @property
    def needs_base(self) -> bool:
        """Must one operand be the base?"""
        return self.base == BASE_REQUIRED

    def prepare(self, reader: Reader, parameters: Parameters, profile: Profile, tensor_name: str) -> Rule:
        """Make the passes that are needed; memory does not grow with the tensor.

        Raises ``UsageError``: ``method-no-profile``, ``method-base``, ``method-operands``,
        ``parameter-unknown``, ``parameter-missing``, ``parameter-bad``, and what a rule itself refuses.
        """
        if profile.id not in self.profiles:
            raise UsageError(
                f"{self.id} does not exist in the arithmetic {profile.id}",
                code="method-no-profile",
                hint=", ".join(self.profiles),
            )
        self._check_operands(reader)
        return self.rule(reader, self.complete(reader, parameters), profile, tensor_name)

    def draws(self, reader: Reader, parameters: Parameters, profile: Profile) -> int:
        """Random words that this tensor takes from the tool's stream; 0 for methods without chance."""
        if self.random is None or profile.ours:
            return 0
        return self.random(reader, self.complete(reader, parameters), profile)

    def complete(self, reader: Reader, parameters: Parameters) -> Parameters:
        """Checked parameters, defaults filled in."""
        own = {d.name: d for d in self.parameters}
        given = [(n, True) for m in parameters.per_model for n in m]
        for name, per_model in [*given, *((n, False) for n in parameters.shared)]:
            if name not in own or own[name].per_model is not per_model:
                raise UsageError(f"{self.id} has no such parameter: {name}", code="parameter-unknown")
        shared = {
            d.name: d.check(parameters.shared.get(d.name, d.default))
            for d in self.parameters
            if not d.per_model
        }
        each = self._each(reader, parameters)
        return Parameters(
            each,
            shared,
            parameters.seed,
            parameters.drawn,
            parameters.arrays,
            parameters.additions,
        )

    def _each(self, reader: Reader, parameters: Parameters) -> tuple[Mapping[str, Value], ...]:
        per_model = [d for d in self.parameters if d.per_model]
        rows: list[Mapping[str, Value]] = []
        for k in range(reader.models):
            given = parameters.per_model[k] if k < len(parameters.per_model) else {}
            skipped = k == reader.base and self.base != BASE_IGNORED
            rows.append(
                {} if skipped else {d.name: d.check(given.get(d.name, d.default)) for d in per_model}
            )
        return tuple(rows)

    def _check_operands(self, reader: Reader) -> None:
        least, most = self.models
        if not least <= reader.models <= most:
            raise UsageError(
                f"{self.id} takes {least} to {most} models, the base included; here are {reader.models}",
                code="method-operands",
            )
        least, most = self.others
        others = reader.models - (reader.base is not None)
        if not least <= others <= most:
            raise UsageError(
                f"{self.id} takes {least} to {most} models beside the base; here are {others}",
                code="method-operands",
            )
        missing = self.needs_base and reader.base is None
        if missing or (self.base == BASE_FORBIDDEN and reader.base is not None):
            what = "needs a base model" if missing else "takes no base model"
            raise UsageError(f"{self.id} {what}", code="method-base", hint="see base_model in the recipe")
