"""What an interview will cost, costs and shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parentage.cli.output import encodable
from parentage.cli.streams import emit_json
from parentage.errors import UsageError
from parentage.reports.wording import clipped

if TYPE_CHECKING:
    from parentage.behaviour.conduct import Spent
    from parentage.behaviour.interviews import InterviewPlan
    from parentage.behaviour.opening import Spec
    from parentage.records.interview import Interview

__all__ = ["Costs", "announce", "show_hidden", "write_outputs"]


@dataclass(frozen=True, slots=True)
class Costs:
    """Prices of a million tokens, in and out; ``None`` where they were not told."""

    prices: tuple[float, float] | None

    @staticmethod
    def of(text: str | None) -> Costs:
        """``"0.5,1.5"``; raises ``UsageError`` (``usage-price``)."""
        if text is None:
            return Costs(None)
        try:
            first, second = (float(part) for part in text.split(","))
        except ValueError:
            first = second = -1.0
        if not (0 <= first < 1e9 and 0 <= second < 1e9):
            raise UsageError(
                "a price is two numbers", code="usage-price", where=text, hint="--price 0.5,1.5"
            )
        return Costs((first, second))

    def of_tokens(self, tokens_in: int, tokens_out: int) -> str:
        """In words; empty where no price was told."""
        if self.prices is None:
            return ""
        cost = (tokens_in * self.prices[0] + tokens_out * self.prices[1]) / 1e6
        return f", cost {cost:,.4f}"

    @contextmanager
    def telling(self) -> Iterator[Callable[[str, Spent], None]]:
        """Draw what is spent on a terminal, else a line at each tenth; the last of each target anyway."""
        live = sys.stderr.isatty()
        last: dict[str, str] = {}
        tenths: dict[str, int] = {}

        def heard(label: str, spent: Spent) -> None:
            text = (
                f"{label}: {spent.answers} of {spent.planned} answers, {spent.failed} failed, "
                f"{spent.tokens_in:,} tokens in, {spent.tokens_out:,} out"
                f"{self.of_tokens(spent.tokens_in, spent.tokens_out)}"
            )
            last[label] = text
            tenth = 10 * spent.answers // max(spent.planned, 1)
            if live:
                sys.stderr.write(f"\r{text}\x1b[K")
                sys.stderr.flush()
            elif tenths.setdefault(label, tenth) < tenth < 10:
                tenths[label] = tenth
                sys.stderr.write(f"{text}\n")
                sys.stderr.flush()

        try:
            yield heard
        finally:
            if live and last:
                sys.stderr.write("\r\x1b[K")
            for text in last.values():
                sys.stderr.write(f"{text}\n")


def announce(plan: InterviewPlan, costs: Costs) -> None:
    """Before anything is asked: how many requests, and at most how many tokens."""
    if not plan.targets:
        sys.stderr.write("kept answers are read; nobody is asked\n")
        return
    sys.stderr.write(
        f"planned: at most {plan.requests:,} answers of {plan.targets} model(s), "
        f"some {plan.tokens_in:,} tokens in, "
        f"at most {plan.tokens_out:,} out{costs.of_tokens(plan.tokens_in, plan.tokens_out)}\n"
    )


def show_hidden(targets: Sequence[Spec]) -> None:
    """What the chat templates that are at hand say by themselves; asks no model anything."""
    from parentage.behaviour.opening import SAVED, template_of
    from parentage.behaviour.templates.rendering import read_hidden_prompt
    from parentage.reports.interview_text import hidden_lines

    for spec in targets:
        template = None if spec.kind == SAVED else template_of(spec)[0]
        if template is not None:
            lines = "\n".join(hidden_lines(read_hidden_prompt(template)))
            sys.stdout.write(
                encodable(f"{clipped(spec.locator)}\n{lines}\n", sys.stdout.encoding or "utf-8")
            )


def write_outputs(found: Interview, json_file: str | None, html: Path | None) -> None:
    """JSON and page where they were asked for; the text on standard output unless JSON goes there."""
    from parentage.records.codec import to_plain
    from parentage.records.interview import SCHEMA, VERSION
    from parentage.records.json_files import dumps, write_text
    from parentage.reports.interview_html import render_html
    from parentage.reports.interview_text import render_text

    text = dumps({"schema": SCHEMA, "version": VERSION, **to_plain(found)})
    if html is not None:
        write_text(html, render_html(found))
    if json_file is not None and json_file != "-":
        write_text(Path(json_file), text)
    if json_file == "-":
        emit_json(text)
    else:
        sys.stdout.write(encodable(render_text(found), sys.stdout.encoding or "utf-8"))
