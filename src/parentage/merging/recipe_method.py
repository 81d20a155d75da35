"""The method that a recipe names, and whether it says all that the method needs."""

from __future__ import annotations

from parentage.errors import RecipeError, UsageError
from parentage.merging.adapters import check_adapters
from parentage.merging.parameters import unknown_parameters
from parentage.methods.method import ONE_ARITHMETIC, PROFILES, Method
from parentage.methods.registry import method as method_named
from parentage.records.recipe import Recipe

__all__ = ["check_profile", "method_of"]


def method_of(recipe: Recipe) -> Method:
    """The recipe's method; raises ``RecipeError`` for what the method does not know or lacks."""
    try:
        found = method_named(recipe.method)
    except UsageError as error:
        raise RecipeError(error.message, code="recipe-method", hint=error.hint) from None
    unknown = unknown_parameters(recipe, found)
    if unknown:
        name, line = unknown[0]
        known = ", ".join(d.name for d in found.parameters) or "none"
        raise RecipeError(
            f"{found.id} has no parameter {name[:80]!r}",
            code="recipe-unknown-parameter",
            where=f"line {line}" if line else "",
            hint=f"its parameters: {known}",
        )
    if (
        found.needs_base
        and recipe.base_model is None
        and not all(p.base_model for p in recipe.slices or [recipe])
    ):
        raise RecipeError(
            f"{found.id} works on differences from a base, and the recipe names none",
            code="recipe-base-missing",
            hint="base_model: the model that the others were made from",
        )
    check_adapters(recipe, found)
    return found


def check_profile(method: Method, profile: str) -> None:
    """Raises ``RecipeError`` (``recipe-profile``)."""
    if profile not in method.profiles:
        known = profile in PROFILES or profile.startswith(ONE_ARITHMETIC)
        raise RecipeError(
            f"{method.id} does not exist in the arithmetic {profile}"
            if known
            else f"no arithmetic is called {profile!r}",
            code="recipe-profile",
            hint="one of " + ", ".join(method.profiles),
        )
