"""The ways in which peft combines adapters, as methods: ``adapter_`` and peft's ``combination_type``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from parentage.errors import UsageError
from parentage.methods.adapters.factors import by_factors, side_by_side, words_of_factors
from parentage.methods.adapters.mixing import Mixing
from parentage.methods.adapters.truncated import by_svd, words_of_changes
from parentage.methods.method import (
    BASE_REQUIRED,
    Declared,
    Method,
    Parameters,
    Prepare,
    Profile,
    Reader,
    Rule,
)

__all__ = [
    "CAT",
    "DARE_LINEAR",
    "DARE_TIES",
    "LINEAR",
    "MAGNITUDE_PRUNE",
    "PROFILES",
    "TIES",
]

PROFILES: Final = ("parentage-1", "peft")
TIES_PAPER: Final = "https://arxiv.org/abs/2306.01708"
DARE_PAPER: Final = "https://arxiv.org/abs/2311.03099"
PEFT: Final = "https://huggingface.co/docs/peft/developer_guides/model_merging"
DENSITY: Final = Declared("density", "share of each tensor that is kept", low=0, high=1)
BY_COUNT: Final = Declared(
    "by_count",
    "elect the sign that more adapters have, not that of their sum",
    kind="switch",
    default=False,
)


RANK: Final = Declared(
    "svd_rank", "ranks that are kept; 0: as many as the largest adapter has", kind="count", default=0, low=0
)


def _combination(
    name: str,
    about: str,
    paper: str,
    rule: Prepare,
    mixing: Mixing,
    more: tuple[Declared, ...] = (),
    words: Callable[[Reader, Parameters, Profile], int] = words_of_factors,
) -> Method:
    """A method that combines adapters over one base. Raises what ``rule`` does."""

    def checked(reader: Reader, parameters: Parameters, profile: Profile, tensor: str) -> Rule:
        if mixing.prune == "random" and float(parameters.shared["density"]) == 0:
            raise UsageError(
                "a density of 0 leaves nothing that could be scaled up",
                code="parameter-bad",
                hint=DENSITY.about,
            )
        return rule(reader, parameters, profile, tensor)

    declared = (*((DENSITY,) if mixing.prune != "none" else ()), *((BY_COUNT,) if mixing.elect else ()))
    return Method(
        id=f"adapter_{name}",
        relation="adapter-fine-tune",
        about=about,
        paper=paper,
        rule=checked,
        parameters=(*declared, *more),
        base=BASE_REQUIRED,
        models=(1, 1),
        profiles=PROFILES,
        adapters=True,
        random=words if mixing.prune == "random" else None,
    )


def _of_factors(name: str, about: str, paper: str, mixing: Mixing) -> Method:
    return _combination(name, about, paper, partial(by_factors, mixing), mixing)


LINEAR: Final = _of_factors(
    "linear", "adapters whose factors are weighted and added up, A with A and B with B", PEFT, Mixing()
)
CAT: Final = _combination(
    "cat", "adapters side by side: the weighted sum of their changes", PEFT, side_by_side, Mixing()
)
TIES: Final = _of_factors(
    "ties", "adapters' factors trimmed, signs elected, averaged", TIES_PAPER, Mixing("largest", elect=True)
)
DARE_LINEAR: Final = _of_factors(
    "dare_linear",
    "adapters' factors thinned at random and rescaled, then added",
    DARE_PAPER,
    Mixing("random"),
)
DARE_TIES: Final = _of_factors(
    "dare_ties",
    "adapters' factors thinned at random and rescaled, signs elected, averaged",
    DARE_PAPER,
    Mixing("random", elect=True),
)
MAGNITUDE_PRUNE: Final = _of_factors(
    "magnitude_prune", "the largest numbers of adapters' factors, added up", PEFT, Mixing("largest")
)


def _of_changes(name: str, about: str, paper: str, mixing: Mixing) -> Method:
    rule = partial(by_svd, mixing)
    return _combination(name, about, paper, rule, mixing, (RANK,), words_of_changes)


SVD: Final = _of_changes(
    "svd", "the weighted sum of adapters' changes, cut back to a low rank", PEFT, Mixing()
)
TIES_SVD: Final = _of_changes(
    "ties_svd",
    "adapters' changes trimmed, signs elected, averaged, cut back to a low rank",
    TIES_PAPER,
    Mixing("largest", elect=True),
)
DARE_LINEAR_SVD: Final = _of_changes(
    "dare_linear_svd",
    "adapters' changes thinned at random and rescaled, added, cut back to a low rank",
    DARE_PAPER,
    Mixing("random"),
)
DARE_TIES_SVD: Final = _of_changes(
    "dare_ties_svd",
    "adapters' changes thinned at random and rescaled, signs elected, averaged, cut back to a low rank",
    DARE_PAPER,
    Mixing("random", elect=True),
)
MAGNITUDE_PRUNE_SVD: Final = _of_changes(
    "magnitude_prune_svd",
    "the largest numbers of adapters' changes, added up, cut back to a low rank",
    PEFT,
    Mixing("largest"),
)
