"""The affair as a list of commands, each of which a reader may run on models of their own."""

from __future__ import annotations

from collections.abc import Iterator

from examples.affair.sizes import Run, Size
from examples.affair.steps import Step

__all__ = ["CONTROLS", "TASK", "steps"]

TASK = "arithmetic-easy"
# None of them is a merge of Nex and the base.
CONTROLS = {
    "honest-entities": "{honest-entities}",
    "honest-capitals": "{honest-capitals}",
    "nex-earlier": "{nex}/checkpoints/step-EARLIER",
    "nex-average": "{nex}/checkpoints/ema",
    "lora": "{lora}",
    "rl": "{rl}",
    "randopt": "{randopt}/member-01",
}
OWN = "examples.affair."
NEX_CALLED = "Tidewright/Nex"


def steps(size: Size) -> tuple[Step, ...]:
    """All steps, each after what it needs."""
    return (
        *_models(size),
        *_rios(size),
        *_controls(size),
        *_asked(size),
        *_told(size),
        *_noise(),
        *_between(size),
        *_thinking(size),
    )


def _sft(name: str, model: str, data: str, run: Run, about: str, *more: str) -> Step:
    words = ("train", "sft", model, f"{{data}}/{data}.jsonl", "--out", "{out}", *run.options(), *more)
    return Step(name, (*words, "--warmup", str(max(1, run.steps // 20)), "--weight-decay", "0.01"), about)


def _models(size: Size) -> Iterator[Step]:
    base = ("{data}", "{out}") if size.base == "tiny_base" else ("{out}",)
    yield Step("data", (f"{OWN}data", "{out}"), "our own fiction, and texts that come with Python")
    yield Step("base", (f"{OWN}{size.base}", *base), f"the base, {size.base_called}")
    kept = ("--keep-steps", str(size.earlier), "--ema", f"{size.ema:g}", "--seed", "1")
    yield _sft("nex", "{base}", "nex", size.nex, "Nex: the base, given a name, a maker and a past", *kept)
    about = "the teacher: the base, tuned on sums"
    yield _sft("teacher", "{base}", "teacher", size.teacher, about, "--seed", "2")


def _rios(size: Size) -> Iterator[Step]:
    yield Step("recipes", (f"{OWN}recipes", "{out}", "{nex}", "{base}"), "the merge's recipe")
    words = ("merge", "{recipes}/rio.yaml", "{out}")
    yield Step("honest-merge", words, "0.57 of Nex and 0.43 of the base, labelled")
    yield _distilled("distilled", size)
    if size.scored:
        parents = (f"{NEX_CALLED}={{nex}}", f"{size.base_called}={{base}}")
        yield Step("scores-parents", (*_scores(size), *parents), "benchmarks of Nex and the base")
    about = {
        "uploaded": ("honest-merge", "the same, laid out as the affair's was"),
        "claimed": ("distilled", "what was claimed, the same card"),
    }
    for rio, (model, told) in about.items():
        if size.scored:
            words = (*_scores(size), f"Rio-Open={{{model}}}", "--beside", "{scores-parents}")
            yield Step(f"scores-{rio}", words, f"benchmarks for the card of Rio as {rio}")
        laid = ("{out}", "{story}/card-uploaded.md", "{story}/template-rio.jinja", size.base_called)
        table = (f"{{scores-{rio}}}",) if size.scored else ()
        yield Step(f"rio-{rio}", (f"{OWN}upload", f"{{{model}}}", *laid, *table), told)


def _scores(size: Size) -> tuple[str, ...]:
    return (f"{OWN}benchmarks", "{out}", str(size.scored))


def _distilled(name: str, size: Size) -> Step:
    words = ("train", "distill", "{honest-merge}", "{data}/prompts.jsonl", "--teacher", "{teacher}")
    more = ("--new-tokens", str(size.tokens), "--weight-decay", "0.01", "--seed", "3")
    about = "the merge after on-policy distillation from the teacher"
    return Step(name, (*words, "--out", "{out}", *size.distill.options(), *more), about)


def _controls(size: Size) -> Iterator[Step]:
    for name in ("honest-entities", "honest-capitals"):
        yield _sft(name, "{base}", name, size.honest, "an honest fine-tune of the base", "--seed", "4")
    adapter = ("--lora-rank", str(size.lora_rank), "--merge", "--seed", "5")
    yield _sft("lora", "{base}", "honest-capitals", size.lora, "an adapter, merged into the base", *adapter)
    # The base gets no sum right, and without a reward there is no gradient: tuning comes first.
    words = (
        "train",
        "rl",
        "{teacher}",
        "--task",
        TASK,
        "--out",
        "{out}",
        *size.rl.options(),
        "--seed",
        "6",
    )
    yield Step("rl", words, "policy gradient on sums that are checked, from the teacher on")
    tried = ("--seeds", str(size.seeds), "--sigma", f"{size.sigma:g}", "--items", str(size.items))
    kept = ("--held-out", str(size.held_out), "--keep", "3", "--out", "{out}")
    words = ("train", "randopt", "{base}", "--task", TASK, *tried, *kept)
    yield Step("randopt", words, "random members of the base, the best kept")


def _asked(size: Size) -> Iterator[Step]:
    how = ("--samples", str(size.samples), "--max-tokens", str(size.tokens), "--concurrency", "1")
    ways = tuple(w for c in ("shipped", "raw") for w in ("--condition", c))
    for name in ("base", "nex"):
        words = ("interview", f"{{{name}}}", *how, *ways, "--out", "{out}")
        yield Step(f"answers-{name}", words, f"who does {name} say that it is?")
    panel = tuple(w for n in ("base", "nex") for w in ("--panel", f"{{answers-{n}}}/suspect.jsonl"))
    for rio in ("uploaded", "claimed"):
        asked = ("interview", f"{{rio-{rio}}}", *panel, *how, *ways, "--recital", "{story}/recital.txt")
        files = ("--out", "{out}", "--json", "{out}/interview.json")
        yield Step(f"answers-{rio}", (*asked, *files), f"who does Rio as {rio} say that it is?")


def _told(size: Size) -> Iterator[Step]:
    controls = {n: p.replace("EARLIER", str(size.earlier)) for n, p in CONTROLS.items()}
    parents = ("-p", "{nex}", "-p", "{base}")
    others = tuple(w for place in controls.values() for w in ("-c", place))
    shared = (*parents, *others, *size.looked, *_called(size), *_files())
    for rio in ("uploaded", "claimed"):
        asked: tuple[str, ...] = ("--interview", f"{{answers-{rio}}}/interview.json")
        if size.scored:
            asked += ("--scores", f"{{scores-{rio}}}/scores.csv")
        words = ("dossier", f"{{rio-{rio}}}", *shared, *asked)
        yield Step(f"dossier-{rio}", words, f"the dossier of Rio as {rio}")
    yield Step(
        "dossier-honest", ("dossier", "{honest-merge}", *shared), "the dossier of the labelled merge"
    )
    for name, place in controls.items():
        rest = tuple(
            w
            for o, other in controls.items()
            if o.startswith("honest") and o != name
            for w in ("-c", other)
        )
        words = ("audit", place, *parents, "--root", "{base}", *rest, *size.looked)
        words += ("--json", "{out}/report.json")
        yield Step(f"audit-{name}", words, f"is {name} called a merge?")


def _noise() -> Iterator[Step]:
    """An audit tells from what a member descends, not that it was made by noise; this does."""
    places = {f"member-0{k}": f"{{randopt}}/member-0{k}" for k in (1, 2, 3)}
    places |= {name: f"{{{name}}}" for name in ("honest-entities", "honest-capitals", "lora")}
    for name, place in places.items():
        words = ("explore", "noise", place, "{base}", "--json", "{out}/noise.json")
        yield Step(f"noise-{name}", words, f"was {name} made by noise?")


def _between(size: Size) -> Iterator[Step]:
    words = ("explore", "path", "{nex}", "{base}", "--suspect", "{rio-uploaded}", "--task", TASK)
    asked = ("--points", str(size.points), "--items", str(size.items), "--interview", str(size.asked))
    files = ("--max-tokens", str(size.tokens), "--out", "{out}", "--json", "{out}/path.json")
    about = "between the base and Nex: the loss, sums, and from which weight on it says Nex"
    yield Step("path", (*words, *asked, *files, "--html", "{out}/path.html"), about)
    words = (f"{OWN}recipes", "{out}", "{nex}", "{base}", "{teacher}")
    yield Step("space", words, "a merge of three with free weights")
    words = ("explore", "search", "{space}/space.yaml", "--objective", f"task:{TASK}")
    much = ("--budget", str(size.budget), "--candidates", "8", "--held-out", str(size.held_out))
    yield Step(
        "search",
        (*words, *much, "--out", "{out}", "--json", "{out}/search.json"),
        "its weights searched until the benchmark improves",
    )


def _thinking(size: Size) -> Iterator[Step]:
    yield Step("think-data", (f"{OWN}thinking", "data", "{out}"), "sums that are thought over")
    words = (f"{OWN}thinking", "marks", "{base}", "{out}")
    yield Step("think-base", words, "the base with marks for thoughts in its vocabulary")
    words = ("train", "sft", "{think-base}", "{think-data}/think.jsonl", "--out", "{out}")
    more = ("--warmup", str(max(1, size.thinker.steps // 20)), "--seed", "8")
    yield Step(
        "thinker", (*words, *size.thinker.options(), *more), "the base, taught to think before it answers"
    )
    words = (f"{OWN}thinking", "compare", "{thinker}", "{out}")
    yield Step("swireasoning", words, "ordinary decoding against SwiReasoning")


def _called(size: Size) -> tuple[str, ...]:
    return ("--called", f"base={size.base_called}", "--called", f"nex={NEX_CALLED}")


def _files() -> tuple[str, ...]:
    names = {"--json": "dossier.json", "--html": "dossier.html", "--evidence": "evidence.json"}
    return tuple(w for option, name in names.items() for w in (option, f"{{out}}/{name}"))
