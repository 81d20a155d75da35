"""How trl's trainers make our runs: its losses and sampling; our data, rates, seeds, states and files."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from parentage.training.running import Run, positions

__all__ = [
    "arguments",
    "carry_out",
    "constant",
    "in_order",
    "listed",
    "on_one_device",
    "quiet",
    "scheduled",
]

# What torch says of chances that it cannot draw from (``multinomial``).
UNDRAWN = "probability tensor contains"


def arguments(run: Run, **own: Any) -> dict[str, Any]:
    """Of transformers' ``TrainingArguments``: one epoch over exactly the steps that remain; nothing saved,
    logged, clipped or scheduled but by us."""
    o, machine = run.course.optimizer, run.course.machine
    return {
        "output_dir": str(run.folder.path / "trl.new"),
        "max_steps": run.steps - run.start,
        "per_device_train_batch_size": o.batch,
        "gradient_accumulation_steps": o.accumulation,
        "learning_rate": o.rate,
        "max_grad_norm": 0.0,
        "lr_scheduler_type": "constant",
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": machine.device == "cpu",
        "bf16": machine.precision == "mixed",
        "fp16": False,
        "gradient_checkpointing": machine.recompute,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": machine.device != "cpu",
        "remove_unused_columns": False,
        "seed": run.course.seed % 2**32,
        **own,
    }


def on_one_device(config: Any) -> Any:
    """transformers would spread a batch over all devices that it sees, and sum in another order."""
    config._n_gpu = min(1, config.n_gpu)
    return config


def in_order(run: Run, count: int) -> list[int]:
    """Which examples the remaining steps see, one after the other."""
    return [k for step in range(run.start, run.steps) for k in positions(run.course, step, count)]


def constant(run: Run) -> tuple[Any, Any]:
    """The run's optimizer, and a schedule that leaves its rates to the run."""
    from torch.optim.lr_scheduler import LambdaLR

    return run.optimizer, LambdaLR(run.optimizer, lambda _: 1.0)


def scheduled(run: Run, losses: list[float]) -> Any:
    """A callback: what the run does before, within and after each step. ``losses``: of the batches of the
    step under way, filled by the trainer, averaged and emptied here."""
    from transformers import TrainerCallback

    class Steps(TrainerCallback):  # type: ignore[misc]
        """Trainer counts from 0 in a run that goes on, too."""

        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            run.begin(run.start + state.global_step)

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            run.clip()

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            mean = sum(losses) / len(losses)
            losses.clear()
            run.finish(run.start + state.global_step - 1, mean)

    return Steps()


@contextmanager
def quiet() -> Iterator[None]:
    """Reminders of libraries would stand between our lines; what goes wrong is raised, not logged."""
    names = ("trl", "transformers", "accelerate", "datasets", "peft")
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)


def carry_out(run: Run, trainer: Any) -> None:
    """Train. What a trainer prints at its end stands in the record, by our own names.

    Raises as ``Run.check``: torch refuses to draw from chances that are not finite before there is a loss.
    """
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)
    try:
        trainer.train()
    except RuntimeError as error:
        if UNDRAWN not in str(error):
            raise
        run.check(math.nan, "chance of a next token")


def listed(rows: Sequence[dict[str, Any]]) -> Any:
    """Rows in memory as the kind of data set that trl takes."""
    from datasets import Dataset

    return Dataset.from_list(list(rows))
