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

app = typer.Typer(help=HELP, add_completion=False, no_args_is_help=True, rich_markup_mode=None)
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


def _run(trainer: Any, settings: Any) -> None:
    from parentage.cli.progress import progress
    from parentage.cli.streams import plain_text, printing

    # cuBLAS is deterministic with a workspace of its own only, and reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
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
