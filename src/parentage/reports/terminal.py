"""A Report on a terminal: the verdict first, then what carries it, then what it does not cover.

Names come from the models under examination and are hostile until shown otherwise: they are put
into ``Text`` objects (never parsed as markup) after ``visible`` has written out control characters.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import islice

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import Control, Report, VerdictParent
from parentage.reports.guidance import next_steps
from parentage.reports.wording import (
    bits_text,
    bound_text,
    bytes_text,
    clipped,
    count_text,
    estimate_text,
    interval_text,
    level_text,
    match_text,
    plain,
    relation_words,
    share_text,
    size_text,
    status_words,
)

__all__ = ["render", "render_text"]

NAME_LIMIT = 48
# A sentence of ours is at most about 400 characters; more is a name that floods the screen.
PROSE_LIMIT = 800
LISTED = 8
BAR = 24
ROOM_FOR_BAR = 80
_STATUS_STYLE = {
    "supported": "bold green",
    "contradicted": "bold red",
    "undetermined": "bold yellow",
    "detected": "bold magenta",
    "not-detected": "bold green",
}


def render(report: Report) -> RenderableType:
    """The report for ``rich``, which fits it to the console's width and colours."""
    return Group(*_sections(report))


def render_text(report: Report, width: int = 100) -> str:
    """The same as plain text, ``width`` columns wide, without trailing blanks."""
    stream = io.StringIO()
    console = Console(file=stream, width=width, color_system=None, highlight=False, legacy_windows=False)
    console.print(render(report))
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()) + "\n"


def _sections(report: Report) -> Iterable[RenderableType]:
    yield from _verdict(report)
    yield from _section("What it is made of", _weights(report))
    yield from _section("Part by part", _parts(report))
    yield from _section("What excludes the other explanations", _rivals(report, alive=False))
    yield from _section("Explanations that remain possible", _rivals(report, alive=True))
    yield from _section("Later training", _post_training(report))
    yield from _section("Replay", _replay(report))
    yield from _section("Controls", _controls(report.controls))
    yield from _section("Rows that training left alone", _quiet_rows(report))
    yield from _section("What was looked at", _coverage(report))
    yield from _section("Limits", _bullets((*report.verdict.limits, *report.notes)))
    yield from _section("Where to go next", _bullets(next_steps(report)))


def _prose(text: object) -> str:
    return clipped(text, PROSE_LIMIT)


def _section(title: str, body: RenderableType | None) -> Iterable[RenderableType]:
    if body is None:
        return
    yield Text()
    yield Text(title, style="bold")
    yield Padding(body, (0, 0, 0, 2))


def _verdict(report: Report) -> Iterable[RenderableType]:
    verdict = report.verdict
    yield Rule(style="dim")
    head = Text(status_words(verdict.status), style=_STATUS_STYLE[verdict.status])
    if verdict.relation != verdict.status:
        head.append(f" · {relation_words(verdict.relation)}", style="dim")
    yield head
    yield Text(_prose(verdict.sentence), style="bold")
    yield Rule(style="dim")


def _weights(report: Report) -> RenderableType | None:
    if not report.verdict.parents:
        return None
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(overflow="fold")
    for parent in report.verdict.parents:
        table.add_row(*_weight_row(parent))
    known = [p.weight for p in report.verdict.parents if isinstance(p.weight, Estimate)]
    lines = [f"Interval: {text}." for text in sorted({level_text(e) for e in known})]
    if not isinstance(report.heterogeneity, Absent):
        lines.append(_prose(report.heterogeneity.sentence))
    return Group(table, *(Text(line, style="dim") for line in lines))


def _weight_row(parent: VerdictParent) -> tuple[RenderableType, ...]:
    name = Text(clipped(parent.name, NAME_LIMIT))
    weight = parent.weight
    if isinstance(weight, Absent):
        reason = Text(_prose(weight.reason), style="dim")
        return name, Text("–"), Text(), reason
    interval = Text(interval_text(weight), style="dim")
    number = Text(estimate_text(weight), style="bold", no_wrap=True)
    return name, number, interval, _Bar(weight.estimate)


class _Bar:
    """A share as a bar as wide as the room it is given, so that it stays true in little room."""

    def __init__(self, share: float) -> None:
        self.share = max(0.0, min(1.0, share))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        # The bar gives way first on a narrow terminal: it repeats what the number says.
        return Measurement(0, BAR if options.max_width >= ROOM_FOR_BAR else 0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(BAR, options.max_width)
        filled = round(self.share * width)
        bar = Text("█" * filled, style="cyan", no_wrap=True, overflow="crop")
        yield bar.append("░" * (width - filled), style="dim")


def _parts(report: Report) -> RenderableType | None:
    if not report.verdict.parts:
        return None
    table = _grid(3)
    for part in report.verdict.parts:
        table.add_row(
            Text(clipped(part.where, NAME_LIMIT)),
            Text(relation_words(part.relation), style="bold"),
            Text(_prose(part.sentence)),
        )
    return table


def _rivals(report: Report, *, alive: bool) -> RenderableType | None:
    by_reason: dict[str, list[str]] = {}
    for rival in report.verdict.rivals:
        reason = rival.why_excluded
        if isinstance(reason, Absent) == alive:
            words = reason.reason if isinstance(reason, Absent) else reason
            by_reason.setdefault(words, []).append(clipped(relation_words(rival.relation)))
    lines: list[RenderableType] = []
    for reason, names in by_reason.items():
        lines += [Text("; ".join(names)), Padding(Text(_prose(reason), style="dim"), (0, 0, 0, 2))]
    return Group(*lines) if lines else None


def _post_training(report: Report) -> RenderableType:
    after = report.post_training
    lines = [Text(status_words(after.status), style=_STATUS_STYLE[after.status])]
    if isinstance(after.changed_share, Estimate):
        lines.append(Text(_changed(after.changed_share)))
    if isinstance(after.sigma_relative, Estimate):
        sigma = after.sigma_relative
        lines.append(
            Text(
                f"size of the change: {size_text(sigma.estimate)} of the weights' spread "
                f"[{size_text(sigma.low)}, {size_text(sigma.high)}]"
            )
        )
    seen = after.would_have_seen
    lines.append(Text(_prose(seen.reason if isinstance(seen, Absent) else seen), style="dim"))
    alive = [r for r in after.rivals if isinstance(r.why_excluded, Absent)]
    if alive and after.status != "not-detected":
        lines.append(Text("could also be: " + "; ".join(_prose(r.cause) for r in alive)))
    return Group(*lines)


def _changed(share: Estimate) -> str:
    if share.estimate == 0:
        return f"no examined number was changed; at most {bound_text(share.high)} may have been"
    return (
        f"changed: {share_text(share.estimate)} of the numbers "
        f"({share_text(share.low)} to {share_text(share.high)})"
    )


def _replay(report: Report) -> RenderableType:
    replay = report.replay
    table = _grid(2)
    if isinstance(replay, Absent):
        table.add_row(Text("recipe"), Text(_prose(replay.reason), style="dim"))
    else:
        match = f"{match_text(replay.match)} of {count_text(replay.informative_elements)} numbers"
        table.add_row(Text("match"), Text(f"{match} where the parents differ"))
        table.add_row(Text("arithmetic"), Text(_prose(f"{replay.method}, {replay.arithmetic}")))
        for other in islice(replay.alternatives, 3):
            table.add_row(
                Text("others", style="dim"),
                Text(f"{match_text(other.match)} {clipped(other.arithmetic)}", style="dim"),
            )
    table.add_row(Text("novelty"), Text(_novelty(report)))
    table.add_row(Text("direction"), Text(_direction(report)))
    return table


def _novelty(report: Report) -> str:
    bits = report.novelty.bits_per_weight
    if isinstance(bits, Absent):
        return plain(bits)
    own = report.novelty.own_bits_per_weight
    whole = "" if isinstance(own, Absent) else f" of {own:.2f}"
    return f"{bits_text(bits)}{whole} bits per weight are not accounted for by the explanation"


def _direction(report: Report) -> str:
    forward, backward = report.direction.forward_match, report.direction.backward_match
    if isinstance(forward, Absent):
        return plain(forward)
    back = plain(backward) if isinstance(backward, Absent) else match_text(backward)
    return f"suspect from its parents {match_text(forward)}; a parent from the suspect {back}"


def _controls(controls: Sequence[Control]) -> RenderableType | None:
    if not controls:
        return None
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("model", "consistency", "match", "weight"):
        table.add_column(name, overflow="fold")
    for control in controls:
        name = clipped(control.name, NAME_LIMIT) + ("" if control.real else " (shuffled)")
        table.add_row(
            Text(name),
            Text(_number(control.consistency)),
            Text(_number(control.match)),
            Text("none fits" if isinstance(control.weight, Absent) else plain(control.weight)),
        )
    return table


def _number(value: float | Absent) -> str:
    return "–" if isinstance(value, Absent) else match_text(value)


def _quiet_rows(report: Report) -> RenderableType | None:
    if isinstance(report.quiet_rows, Absent) or not report.quiet_rows:
        return None
    table = _grid(2)
    for found in report.quiet_rows:
        words = f"{count_text(found.quiet_rows)} of {count_text(found.rows)} rows of "
        words += f"{clipped(found.tensor)} were moved by weight decay alone"
        if not isinstance(found.schedule, Absent):
            words += f": {_prose(found.schedule)}"
        if found.exact_rows:
            words += f" ({count_text(found.exact_rows)} reproduced in every bit)"
        table.add_row(Text(f"from {clipped(found.parent, NAME_LIMIT)}"), Text(words))
    return table


def _coverage(report: Report) -> RenderableType:
    c = report.coverage
    share = c.elements_examined / c.elements if c.elements else 0.0
    lines = [
        Text(
            f"{count_text(c.tensors_examined)} of {count_text(c.tensors)} tensors, "
            f"{count_text(c.elements_examined)} of {count_text(c.elements)} numbers "
            f"({share_text(share)}), {bytes_text(c.bytes_read)} read"
        )
    ]
    if c.not_examined:
        lines.append(Text(f"Not looked at: {count_text(len(c.not_examined))}"))
    for missed in c.not_examined[:LISTED]:
        lines.append(Text(f"  {clipped(missed.tensor)}: {_prose(missed.reason)}"))
    if len(c.not_examined) > LISTED:
        more = count_text(len(c.not_examined) - LISTED)
        lines.append(Text(f"  and {more} more; --json and --html list every one", style="dim"))
    return Group(*lines)


def _bullets(lines: Sequence[str]) -> RenderableType | None:
    if not lines:
        return None
    table = Table.grid(padding=(0, 1))
    table.add_column(width=1)
    table.add_column(overflow="fold")
    for line in lines:
        table.add_row(Text("•", style="dim"), Text(_prose(line)))
    return table


def _grid(columns: int) -> Table:
    table = Table.grid(padding=(0, 2))
    for index in range(columns):
        # Only the first column keeps to its width; sentences wrap in the others.
        table.add_column(overflow="fold", min_width=8 if index == 0 else None)
    return table
