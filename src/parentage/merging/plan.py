"""The plan of a merge: what becomes of every tensor of every model, before any weight is read.

Each tensor of the output is merged, or copied for a stated reason; each tensor of an input that nothing is
made of is listed as dropped, with the reason. Nothing is recast unless the recipe asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from parentage.architectures.roles import role_of
from parentage.checkpoints.checkpoint import Checkpoint
from parentage.errors import PlanError
from parentage.merging.adapters import Over, adapters_over
from parentage.merging.groups import Sources, sources_of, unused
from parentage.merging.layers import Layout, layout_of
from parentage.merging.operands import Operand, Operands
from parentage.merging.parameters import WITHOUT_EFFECT, resolve
from parentage.merging.parts_plan import plan_of_parts
from parentage.merging.planned import Dropped, Plan, PlannedTensor
from parentage.merging.recipe_method import check_profile, method_of
from parentage.merging.vocabularies import Vocabulary, check_alike, make_vocabulary
from parentage.methods.method import (
    BASE_FORBIDDEN,
    BASE_IGNORED,
    Method,
    Profile,
)
from parentage.records.dtypes import DType
from parentage.records.recipe import ModelName, Recipe
from parentage.records.tensors import TensorRef

__all__ = ["DEFAULT_PROFILE", "make_plan"]

DEFAULT_PROFILE: Final = "parentage-1"
DTYPES: Final = {
    "bfloat16": DType.BF16,
    "float16": DType.F16,
    "float32": DType.F32,
    "float64": DType.F64,
}
ROW_A_TOKEN: Final = ("embedding.token", "head")
Opened = Mapping[ModelName, Checkpoint]


def make_plan(
    recipe: Recipe, opened: Opened, *, profile: str | None = None, seed: int | None = None
) -> Plan:
    """Plan a merge of opened models; ``profile`` and ``seed`` go before the recipe's.

    Raises ``RecipeError`` for what the recipe says and no method knows, ``PlanError`` where the models do
    not fit together.
    """
    if recipe.parts:

        def planned(part: Recipe, models: Opened) -> Plan:
            return make_plan(part, models, profile=profile, seed=seed)

        return plan_of_parts(recipe, planned, opened)
    method = method_of(recipe)
    chosen = profile or recipe.profile or DEFAULT_PROFILE
    check_profile(method, chosen)
    over = adapters_over(recipe, opened) if method.adapters else None
    beside = {ModelName(entry.place) for entry in recipe.adapters}
    layouts = {model: layout_of(checkpoint) for model, checkpoint in opened.items() if model not in beside}
    add_base = method.base != BASE_IGNORED or _weighs_base(recipe, method)
    made = tuple(sources_of(recipe, layouts, add_base=add_base))
    if not made:
        raise PlanError("the models hold no tensor", code="plan-empty", hint="name models with weights")
    sources_named = {s.model for one in made for s in one.group.sources}
    sizes = {m: rows for m in layouts if m in sources_named and (rows := _rows(layouts[m]))}
    vocabulary = make_vocabulary(recipe, opened, sizes) if sizes else None
    if vocabulary is None:
        check_alike({m: c for m, c in opened.items() if m in sources_named})
    number = seed if seed is not None else recipe.seed or 0
    planner = _Planner(recipe, method, chosen, number, opened, vocabulary, sizes, over)
    tensors = _with_draws(method, tuple(planner.planned(sources) for sources in made), over)
    template = recipe.base_model or made[0].group.sources[0].model
    dropped = tuple(
        Dropped(model, name, _why_dropped(model, name, recipe, layouts))
        for model, name in unused(recipe, layouts, made)
        if model in sources_named
    )
    aside = (
        f"{model}: {method.id} takes nothing from this base but its config and tokenizer"
        for model in layouts
        if model not in sources_named
    )
    ours = chosen == DEFAULT_PROFILE and recipe.dtype and recipe.out_dtype is None
    words = (_dtype_words(recipe, tensors),) if ours else ()
    notes = (*_notes(recipe), *words, *aside, *_dtype_notes(tensors))
    return Plan(
        recipe, method, chosen, planner.seed, template, layouts, tensors, dropped, notes, vocabulary
    )


def _with_draws(
    method: Method, tensors: tuple[PlannedTensor, ...], over: Over | None
) -> tuple[PlannedTensor, ...]:
    """A tool draws from one stream, tensor by tensor in lexicographic order (peft: in that of the model's
    modules, after the start values of the adapter that it makes): how much came before each."""
    if method.random is None:
        return tensors
    drawn, before, order = 0, dict[str, int](), sorted(t.name for t in tensors)
    if over is not None:
        drawn, order = over.words_before(over.rank_of(method.id)), over.in_order(order)
    named = {t.name: t for t in tensors}
    for tensor in (named[name] for name in order):
        before[tensor.name] = drawn
        if tensor.parameters is not None and tensor.profile is not None:
            drawn += method.draws(tensor.operands, tensor.parameters, tensor.profile)
    return tuple(
        t if t.parameters is None else replace(t, parameters=replace(t.parameters, drawn=before[t.name]))
        for t in tensors
    )


def _weighs_base(recipe: Recipe, method: Method) -> bool:
    """A method that sums takes the base as one more model only where the recipe gives weights for all."""
    own = {d.name for d in method.parameters if d.per_model and d.default is None}
    return own <= set(recipe.parameters)


@dataclass(slots=True)
class _Planner:
    recipe: Recipe
    method: Method
    profile: str
    seed: int
    opened: Opened
    vocabulary: Vocabulary | None
    sizes: Mapping[ModelName, int]
    over: Over | None

    def planned(self, sources: Sources) -> PlannedTensor:
        """What becomes of one tensor of the output."""
        present = [k for k, t in enumerate(sources.tensors) if t is not None]
        first = sources.group.base if sources.group.base in present else present[0]
        reason = self._why_copied(sources, present)
        if reason:
            return self._copied(sources, first, reason)
        self._check_shapes(sources)
        return self._merged(sources)

    def _why_copied(self, sources: Sources, present: Sequence[int]) -> str:
        tensors = [t for t in sources.tensors if t is not None]
        group = sources.group
        if any(t.scaled is not None for t in tensors):
            raise PlanError(
                "quantised weights cannot be merged as they are",
                code="plan-quantised",
                where=sources.name,
                hint="name models in 16 or 32 bits",
            )
        if len(present) < len(sources.tensors):
            lacking = [str(group.sources[k].model) for k, t in enumerate(sources.tensors) if t is None]
            return f"not in {', '.join(lacking)}"
        if not all(t.dtype.is_float for t in tensors):
            return "it holds no floating-point numbers"
        if any(t.elements == 0 for t in tensors):
            return "it is empty"
        if self.over is not None and self.over.additions(tensors[0].name) is None:
            return "no adapter changes it"
        return ""

    def _copied(self, sources: Sources, k: int, reason: str) -> PlannedTensor:
        tensor = sources.tensors[k]
        assert tensor is not None
        model = sources.group.sources[k].model
        dtype = self._out([tensor]) if tensor.dtype.is_float else tensor.dtype
        parts = self._operands(sources.name, {model: tensor})
        operands = Operands(parts, parts[0].tensor.shape)
        return PlannedTensor(sources.name, dtype, operands, (model,), f"copied from {model}: {reason}")

    def _merged(self, sources: Sources) -> PlannedTensor:
        tensors = [t for t in sources.tensors if t is not None]
        group, out = sources.group, self._out(tensors)
        models = tuple(s.model for s in group.sources)
        if len(set(models)) < len(models):
            # A model that is a source twice, with other layers, has no vocabulary to be mapped here.
            parts = tuple(Operand(self.opened[m], t) for m, t in zip(models, tensors, strict=True))
        else:
            parts = self._operands(sources.name, dict(zip(models, tensors, strict=True)))
        base = None if self.method.base == BASE_FORBIDDEN else group.base
        names = [t.name for t in tensors]
        parameters = resolve(self.recipe, group, self.method, sources.name, names, sources.t, self.seed)
        profile = Profile(self.profile, self._inner(tensors, out), out)
        operands, factors = Operands(parts, parts[0].tensor.shape, base), 0
        if self.over is not None:
            parameters = replace(parameters, additions=self.over.additions(names[0]))
            factors = self.over.nbytes(names[0])
        if self.method.id == "linear":
            # Its rule reads nothing, and refuses weights that sum to zero.
            self.method.prepare(operands, parameters, profile, sources.name)
        return PlannedTensor(
            sources.name, out, operands, models, "", parameters, profile, self.method, factors
        )

    def _operands(self, name: str, tensors: Mapping[ModelName, TensorRef]) -> tuple[Operand, ...]:
        """Operands as they lie; where the recipe chooses a vocabulary, with its rows."""
        plain = {m: Operand(self.opened[m], t) for m, t in tensors.items()}
        chosen = self.vocabulary
        if chosen is None or not self._by_token(name, tensors):
            return tuple(plain.values())
        return tuple(chosen.operand(m, plain, self.recipe.base_model) for m in plain)

    def _by_token(self, name: str, tensors: Mapping[ModelName, TensorRef]) -> bool:
        """A tensor with a row a token, in every model."""
        rows = {m: t.shape[0] if t.shape else 0 for m, t in tensors.items()}
        return role_of(name).role in ROW_A_TOKEN and all(self.sizes.get(m) == n for m, n in rows.items())

    def _inner(self, tensors: Sequence[TensorRef], out: DType) -> DType:
        """The dtype that a tool casts operands to; our own arithmetic casts nothing."""
        if self.profile == DEFAULT_PROFILE:
            return out
        return self._allowed(DTYPES[self.recipe.dtype] if self.recipe.dtype else _widest(tensors))

    def _out(self, tensors: Sequence[TensorRef]) -> DType:
        asked = self.recipe.out_dtype
        if asked is None and self.profile != DEFAULT_PROFILE:
            asked = self.recipe.dtype
        return self._allowed(DTYPES[asked]) if asked else self._kept(tensors)

    def _kept(self, tensors: Sequence[TensorRef]) -> DType:
        found = _widest(tensors)
        return found if len(tensors) == 1 else self._allowed(found, tensors[0].name)

    def _allowed(self, dtype: DType, where: str = "") -> DType:
        if dtype not in (DType.BF16, DType.F16, DType.F32):
            raise PlanError(
                f"merges are not computed in {dtype.value}",
                code="plan-dtype",
                where=where,
                hint="out_dtype: bfloat16, float16 or float32",
            )
        return dtype

    def _check_shapes(self, sources: Sources) -> None:
        tensors = [t for t in sources.tensors if t is not None]
        if all(t.shape == tensors[0].shape for t in tensors):
            return
        models = [s.model for s in sources.group.sources]
        alike = all(t.shape[1:] == tensors[0].shape[1:] for t in tensors)
        by_token = self._by_token(sources.name, dict(zip(models, tensors, strict=True)))
        if self.vocabulary is not None and alike and by_token:
            return
        shapes = ", ".join(
            f"{s.model}: {list(t.shape)}" for s, t in zip(sources.group.sources, tensors, strict=True)
        )
        if role_of(sources.name).role in ROW_A_TOKEN:
            raise PlanError(
                f"the vocabularies differ: {shapes}",
                code="plan-vocabulary",
                where=sources.name,
                hint="tokenizer: {source: base} or {source: union} maps rows by token",
            )
        raise PlanError(
            f"the shapes differ: {shapes}",
            code="plan-shape",
            where=sources.name,
            hint="name models of one size",
        )


def _rows(layout: Layout) -> int:
    """Of the token embedding; 0 where there is none."""
    found = (t for t in layout.tensors.values() if role_of(t.name).role == "embedding.token")
    return next((t.shape[0] for t in found if t.shape), 0)


def _widest(tensors: Sequence[TensorRef]) -> DType:
    """The dtype that holds every number of all of them."""
    found = {t.dtype for t in tensors}
    if len(found) == 1:
        return tensors[0].dtype
    return DType.F64 if DType.F64 in found else DType.F32


def _why_dropped(model: ModelName, name: str, recipe: Recipe, layouts: Mapping[ModelName, Layout]) -> str:
    key = next(k for k, t in layouts[model].tensors.items() if t.name == name)
    if key.layer is not None and recipe.slices:
        return f"layer {key.layer} is in no slice"
    if recipe.slices:
        return "what lies outside the layers is taken from the first slice's and the last slice's sources"
    return "nothing in the output is made of it"


def _notes(recipe: Recipe) -> Iterator[str]:
    scopes = [recipe.parameters, *(s.parameters for s in recipe.models)]
    for name, note in WITHOUT_EFFECT.items():
        if any(name in scope for scope in scopes):
            yield note


def _dtype_words(recipe: Recipe, tensors: Sequence[PlannedTensor]) -> str:
    """What ``dtype`` does not do in our own arithmetic, and what does it."""
    wanted = DTYPES[str(recipe.dtype)]
    kept = [t.dtype for t in tensors if t.dtype.is_float and t.dtype is not wanted]
    arithmetic = (
        f"{DEFAULT_PROFILE} computes in float32 and rounds once, where mergekit computes in the recipe's "
        "dtype in part (--profile mergekit-0.1.5 does as it does)"
    )
    if not kept:
        return f"dtype: {recipe.dtype} is how the tensors are stored anyway; {arithmetic}"
    kinds = ", ".join(sorted({d.value for d in kept}))
    keep = "1 tensor keeps its" if len(kept) == 1 else f"{len(kept):,} tensors keep their"
    return (
        f"dtype: {recipe.dtype} recasts nothing here: {keep} parents' dtype "
        f"({kinds}), which mergekit would store as {recipe.dtype}, and so does out_dtype: {recipe.dtype}; "
        f"{arithmetic}"
    )


def _dtype_notes(tensors: Sequence[PlannedTensor]) -> Iterator[str]:
    recast = [t for t in tensors if any(d is not t.dtype for d in t.operands.dtypes)]
    if recast:
        kinds = sorted(
            {f"{d.value} to {t.dtype.value}" for t in recast for d in t.operands.dtypes if d is not t.dtype}
        )
        yield f"{len(recast):,} tensors are stored in another dtype than a parent's ({', '.join(kinds)})"
