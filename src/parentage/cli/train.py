"""``parentage train``: make what the instrument must be able to see: fine-tunes, distillation, policies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from parentage.cli import train_randopt
from parentage.cli.train_options import with_course

if TYPE_CHECKING:
    from parentage.records.training import TrainingRecord

__all__ = ["app"]

HELP = (
    "Train a model after it was made: on answers (sft), on a teacher's scores of its answers (distill), "
    "on a reward (rl), or by chance (randopt). Every run writes a folder that appears whole or not at all, "
    "with a record of what it was made of. A run that was stopped goes on with the same command."
)
SFT_HELP = (
    "Fine-tune MODEL, a folder with safetensors, on DATA, JSON lines of chats, prompts with completions, "
    "or of text; all weights, or an adapter. Weights are written in the base's own dtype."
)
SFT_EXAMPLES = """\
\b
Examples:
  parentage train sft ./base chats.jsonl --out ./tuned --steps 200 --rate 2e-5 --warmup 10
  An adapter, merged into whole weights:
    parentage train sft ./base chats.jsonl --out ./tuned --lora-rank 16 --rate 2e-4 --merge
  With an earlier checkpoint and an average of the run:
    parentage train sft ./base chats.jsonl --out ./tuned --keep-steps 100 --ema 0.99
"""
DISTILL_HELP = (
    "Distil on-policy: STUDENT answers PROMPTS, JSON lines, and the teacher scores each token of them; "
    "the student's divergence from it is reduced (GKD). Teacher and student have one tokenizer."
)
DISTILL_EXAMPLES = """\
\b
Examples:
  parentage train distill ./student prompts.jsonl --teacher ./teacher --out ./distilled --steps 20
  An adapter, and the symmetric divergence:
    parentage train distill ./s prompts.jsonl --teacher ./t --out ./d --beta 0.5 --lora-rank 16 --rate 1e-4
"""
RL_HELP = (
    "Raise the reward of MODEL on a task whose answers can be checked, by policy gradient (GRPO): several "
    "answers to each problem, each judged against the others. Problems are of the tuned split alone."
)
RL_EXAMPLES = """\
\b
Examples:
  parentage train rl ./model --task arithmetic --out ./policy --steps 20 --rate 1e-6 --batch 2
  A task of one's own, an adapter, held near the beginning:
    parentage train rl ./model --task own.jsonl:number --out ./policy --lora-rank 16 --rate 1e-5 --kl 0.04
"""

EXAMPLES = """\
\b
Examples:
  parentage train sft ./base chats.jsonl --out ./tuned --steps 200
  parentage train randopt ./model --task arithmetic --seeds 16 --sigma 0.001 --keep 4 --out ./thicket
"""

app = typer.Typer(
    help=HELP, epilog=EXAMPLES, add_completion=False, no_args_is_help=True, rich_markup_mode=None
)
app.command("randopt", help=train_randopt.HELP, epilog=train_randopt.EXAMPLES)(train_randopt.command)
Model = Annotated[str, typer.Argument(help="The folder of a model.")]
Out = Annotated[Path, typer.Option("--out", help="A folder that is not there yet, or is empty.")]


@app.command("sft", help=SFT_HELP, epilog=SFT_EXAMPLES)
@with_course
def sft(
    model: Model,
    data: Annotated[Path, typer.Argument(readable=False, help="JSON lines; docs/training.md.")],
    out: Out,
    course: Any,
    all_tokens: Annotated[
        bool, typer.Option("--all-tokens", help="Learn prompts and users' turns as well as answers.")
    ] = False,
) -> None:
    """Supervised fine-tuning."""
    from parentage.training.sft import SftSettings, train_sft

    _run(train_sft, SftSettings(model, data, out, course, all_tokens))


@app.command("distill", help=DISTILL_HELP, epilog=DISTILL_EXAMPLES)
@with_course
def distill(
    student: Annotated[str, typer.Argument(help="The folder of the model that is trained.")],
    prompts: Annotated[Path, typer.Argument(readable=False, help="JSON lines; docs/training.md.")],
    teacher: Annotated[str, typer.Option("--teacher", help="The folder of the model that scores.")],
    out: Out,
    course: Any,
    beta: Annotated[
        float, typer.Option("--beta", help="1: reverse KL; 0: forward; between: Jensen-Shannon.")
    ] = 1.0,
    temperature: Annotated[float, typer.Option("--temperature", help="Of the student's sampling.")] = 1.0,
    new_tokens: Annotated[int, typer.Option("--new-tokens", help="Of an answer, at most.")] = 64,
) -> None:
    """On-policy distillation."""
    from parentage.training.distill import DistillSettings
    from parentage.training.distill import distill as distilled

    _run(
        distilled,
        DistillSettings(student, teacher, prompts, out, course, beta, temperature, new_tokens),
    )


@app.command("rl", help=RL_HELP, epilog=RL_EXAMPLES)
@with_course
def rl(
    model: Model,
    task: Annotated[
        str, typer.Option("--task", help="A built-in task, or FILE.jsonl[:exact|number|contains].")
    ],
    out: Out,
    course: Any,
    items: Annotated[int, typer.Option("--items", help="Different problems.")] = 64,
    group: Annotated[int, typer.Option("--group", help="Answers to each problem.")] = 8,
    temperature: Annotated[float, typer.Option("--temperature", help="Of sampling.")] = 1.0,
    new_tokens: Annotated[
        int, typer.Option("--new-tokens", help="Of an answer, at most; 0: as many as the task says.")
    ] = 0,
    kl: Annotated[float, typer.Option("--kl", help="Weight of the distance from the beginning.")] = 0.0,
) -> None:
    """Policy gradient."""
    from parentage.training.rl import RlSettings, reinforce

    _run(
        reinforce,
        RlSettings(model, task, out, course, items, group, temperature, new_tokens, kl),
    )


def _run(trainer: Any, settings: Any) -> None:
    from parentage.cli.progress import progress
    from parentage.cli.streams import plain_text, printing

    # cuBLAS is deterministic with a workspace of its own only, and reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Models are folders here; no library has anything to fetch.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    with progress() as shown:
        found = trainer(settings, shown)
    with printing():
        for line in _lines(found, settings.out):
            plain_text(line)


def _lines(found: TrainingRecord, out: Path) -> Iterator[str]:
    yield (
        f"{out}: {found.kind}, {found.steps:,} steps on {found.data.examples:,} examples of "
        f"{found.data.name}; {found.trained:,} of {found.parameters:,} parameters trained"
    )
    yield f"loss {found.losses[0]:.4f} at the first step, {found.losses[-1]:.4f} at the last"
    if isinstance(found.rewards, tuple):
        yield f"reward {found.rewards[0]:.4f} at the first step, {found.rewards[-1]:.4f} at the last"
    if found.data.cut:
        yield f"{found.data.cut:,} examples were cut, {found.data.left_out:,} left out"
    for file in found.files:
        yield f"  {file.name} SHA-256 {file.sha256}"
    for name in found.kept:
        yield f"  checkpoints/{name} kept"
    yield f"What it was made of is said in {out / 'training.json'}."
