"""Options that every kind of training run has."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from parentage.errors import UsageError

__all__ = ["course_options", "numbers_of", "with_course"]

Option = typer.Option


def course_options(
    steps: Annotated[int, Option("--steps", help="Updates of the weights.")] = 100,
    rate: Annotated[float, Option("--rate", help="The peak learning rate.")] = 2e-5,
    schedule: Annotated[str, Option("--schedule", help="constant, linear or cosine.")] = "cosine",
    warmup: Annotated[int, Option("--warmup", help="Steps in which the rate rises.")] = 0,
    batch: Annotated[int, Option("--batch", help="Examples at once.")] = 4,
    accumulation: Annotated[int, Option("--accumulation", help="Batches a step.")] = 1,
    max_length: Annotated[int, Option("--max-length", help="Tokens of an example, at most.")] = 1024,
    beta1: Annotated[float, Option("--beta1", help="AdamW's decay of the gradient's mean.")] = 0.9,
    beta2: Annotated[float, Option("--beta2", help="AdamW's decay of its square's mean.")] = 0.999,
    epsilon: Annotated[float, Option("--epsilon", help="AdamW's.")] = 1e-8,
    weight_decay: Annotated[
        float, Option("--weight-decay", help="Decoupled, of matrices and embeddings.")
    ] = 0.0,
    clip: Annotated[float, Option("--clip", help="Most norm of a gradient; 0: none.")] = 1.0,
    lora_rank: Annotated[int, Option("--lora-rank", min=0, help="Of an adapter; 0: all weights.")] = 0,
    lora_alpha: Annotated[float, Option("--lora-alpha", help="0: twice the rank.")] = 0.0,
    lora_dropout: Annotated[float, Option("--lora-dropout", help="Of an adapter's inputs.")] = 0.0,
    lora_targets: Annotated[
        str, Option("--lora-targets", help="q_proj,v_proj; else every linear layer but the output.")
    ] = "",
    merge: Annotated[bool, Option("--merge", help="Write whole weights, the adapter merged in.")] = False,
    save_every: Annotated[int, Option("--save-every", help="Steps between states; 0: none.")] = 50,
    keep_steps: Annotated[str, Option("--keep-steps", help="20,40: keep the model after them.")] = "",
    ema: Annotated[float, Option("--ema", help="Decay of a kept average of the weights; 0: none.")] = 0.0,
    device: Annotated[str, Option("--device", help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, Option("--threads", help="Of the CPU; results depend on their number.")] = 1,
    precision: Annotated[
        str, Option("--precision", help="fp32, bf16, or mixed: fp32 weights, bf16 products.")
    ] = "fp32",
    recompute: Annotated[bool, Option("--recompute", help="Less memory for a third more time.")] = False,
    seed: Annotated[int, Option("--seed", help="Of all chance.")] = 0,
) -> Any:
    """The options as a ``Course``. Raises ``UsageError`` (``training-settings``)."""
    from parentage.training.settings import Course, Keeping, Lora, Machine, Optimizer, check_course

    betas = (beta1, beta2)
    optimizer = Optimizer(
        steps, rate, betas, epsilon, weight_decay, schedule, warmup, batch, accumulation, clip
    )
    targets = tuple(t.strip() for t in lora_targets.split(",") if t.strip())
    lora = Lora(lora_rank, lora_alpha, lora_dropout, targets, merge) if lora_rank else None
    if lora is None and (merge or targets or lora_alpha or lora_dropout):
        raise UsageError(
            "there is no adapter to merge or to set", code="training-settings", hint="add --lora-rank 16"
        )
    keeping = Keeping(save_every, numbers_of(keep_steps), ema)
    machine = Machine(device, threads, precision, recompute)
    course = Course(optimizer, lora, keeping, machine, max_length, seed)
    check_course(course)
    return course


def numbers_of(text: str) -> tuple[int, ...]:
    """``20,40`` as whole numbers, each once, the least first; ``UsageError`` (``training-settings``)."""
    parts = [p.strip() for p in text.split(",") if p.strip()]
    if not all(p.isascii() and p.isdecimal() and len(p) < 10 for p in parts):
        raise UsageError(
            "--keep-steps takes whole numbers with commas between", code="training-settings", hint="20,40"
        )
    return tuple(sorted({int(p) for p in parts}))


def with_course(command: Callable[..., None]) -> Callable[..., None]:
    """A command that has a parameter ``course`` gets all of its options in that one's place."""
    shared = inspect.signature(course_options, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True).parameters

    def whole(**given: Any) -> None:
        course = course_options(**{name: given.pop(name) for name in shared})
        command(**given, course=course)

    parameters = [*(p for name, p in own.items() if name != "course"), *shared.values()]
    named = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
    whole.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    whole.__annotations__ = {p.name: p.annotation for p in named}
    whole.__doc__ = command.__doc__
    return whole
