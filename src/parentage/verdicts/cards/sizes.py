"""Claims of size and architecture, against the tensors that were counted and the config beside them."""

from __future__ import annotations

from typing import Final

from parentage.records.card import Claim
from parentage.verdicts.cards.facts import Facts, Ruling

__all__ = ["weigh_architecture", "weigh_parameters"]

# Models called 7B have 6.7 to 7.7 billion weights: names round, and some leave embeddings out.
NEAR: Final = 0.12
# Beyond this no way of counting makes up the difference.
FAR: Final = 2.0
_EXPERTS: Final = ("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts")


def weigh_parameters(claim: Claim, facts: Facts) -> Ruling:
    """The number of weights."""
    counted, said = facts.audit.coverage.elements, float(claim.value)
    reason = f"the audited files hold {counted:,} weights"
    if facts.relation == "quantized-copy" or counted == 0:
        return Ruling("undetermined", f"{reason}, as codes that may hold several each", ("coverage",))
    ratio = counted / said
    if abs(ratio - 1) <= NEAR:
        return Ruling("supported", reason, ("coverage",))
    if ratio > FAR or ratio < 1 / FAR:
        return Ruling("contradicted", reason, ("coverage",))
    return Ruling("undetermined", f"{reason}; the card may count otherwise", ("coverage",))


def weigh_architecture(claim: Claim, facts: Facts) -> Ruling:
    """What the config says; it is a declaration too, but one that the weights must fit to load."""
    if not facts.config:
        return Ruling("untested", "no config.json was found beside the card")
    texts = facts.config.get("text_config")
    tables = [facts.config, *([texts] if isinstance(texts, dict) else [])]
    experts = max((t[k] for t in tables for k in _EXPERTS if isinstance(t.get(k), int)), default=0)
    listed = facts.config.get("architectures")
    classes = [c for c in listed if isinstance(c, str)] if isinstance(listed, list) else []
    if claim.value in ("mixture-of-experts", "dense") and classes:
        has = experts > 1
        fits = has == (claim.value == "mixture-of-experts")
        return Ruling(
            "supported" if fits else "contradicted", f"its config has {experts} experts", ("config",)
        )
    if claim.value == "decoder-only" and any(c.endswith("ForCausalLM") for c in classes):
        return Ruling("supported", f"its config names {classes[0]}", ("config",))
    return Ruling("undetermined", "its config does not say", ("config",))
