"""A Report on a terminal: the verdict first, then what carries it, then what it does not cover.

Names come from the models under examination and are hostile until shown otherwise: they are put
into ``Text`` objects (never parsed as markup) after ``visible`` has written out control characters.
Sentences wrap at any width; only names longer than ``NAME_LIMIT`` give way, in their middle.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from itertools import islice

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.report import ExpertsSeen, Report, VerdictParent
from parentage.reports.aligned import Aligned, indented
from parentage.reports.changes import experts_text
from parentage.reports.guidance import next_steps
from parentage.reports.headline import (
    alternatives,
    changed_text,
    control_weight_text,
    has_later_change_to_judge,
    interval_meanings,
    is_established,
    merge_test_lines,
    novelty_text,
    parents_title,
    real_controls,
    sigma_text,
    suspect_consistency,
    verdict_words,
    was_changed_later,
)
from parentage.reports.layer_map import LayerRun, layer_runs, reordering_text
from parentage.reports.meanings import arithmetic_words, meaning
from parentage.reports.wording import (
    bytes_text,
    clipped,
    count_text,
    estimate_text,
    interval_text,
    match_text,
    plain,
    relation_words,
    share_text,
    status_words,
)

__all__ = ["render", "render_text"]

# Names of models and tensors in use stay below this; they wrap where the terminal is narrower.
NAME_LIMIT = 120
# A sentence of ours is at most about 400 characters; more is a name that floods the screen.
PROSE_LIMIT = 1_200
LISTED = 8
RUNS_LISTED = 40
BAR = 24
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
    yield from _section(parents_title(report), _parents(report))
    yield from _section("Part by part", _parts(report))
    yield from _section("Layer by layer", _layers(report))
    yield from _section("In another order", _reorderings(report))
    yield from _section("What excludes the other explanations", _rivals(report, alive=False))
    yield from _section("Explanations that remain possible", _rivals(report, alive=True))
    yield from _section("Later training", _post_training(report))
    yield from _section("Controls", _controls(report))
    yield from _section("Replay", _replay(report))
    yield from _section("The earlier upload", _previous(report))
    yield from _section("Rows that training left alone", _quiet_rows(report))
    yield from _section("What was looked at, and what was not", _coverage(report))
    yield from _section("Limits", _bullets((*report.verdict.limits, *report.notes)))
    yield from _section("Where to go next", _bullets(next_steps(report)))


def _prose(text: object) -> str:
    return clipped(text, PROSE_LIMIT)


def _name(text: object) -> str:
    return clipped(text, NAME_LIMIT)


def _section(title: str, body: RenderableType | None) -> Iterable[RenderableType]:
    if body is None:
        return
    yield Text()
    yield Text(title, style="bold")
    yield indented(body)


def _verdict(report: Report) -> Iterable[RenderableType]:
    verdict = report.verdict
    yield Rule(style="dim")
    head = Text(status_words(verdict.status), style=_STATUS_STYLE[verdict.status])
    words = verdict_words(verdict)
    if words:
        head.append(f" · {_name(words)}", style="dim")
    yield head
    yield Text(_prose(verdict.sentence), style="bold")
    found = meaning(verdict)
    if found is not None:
        yield Text(f"{found.says} {found.does_not_say}", style="dim")
    yield Rule(style="dim")


def _parents(report: Report) -> RenderableType | None:
    parents = report.verdict.parents
    if not parents:
        return None
    known = [p.weight for p in parents if isinstance(p.weight, Estimate)]
    if not known:
        return Group(*(Text(_name(p.name)) for p in parents))
    lines = [f"Interval: {text}." for text in interval_meanings(report)]
    if not isinstance(report.heterogeneity, Absent) and is_established(report):
        lines.append(_prose(report.heterogeneity.sentence))
    weights = Aligned([_weight_row(p) for p in parents], spare=1)
    return Group(weights, *(Text(line, style="dim") for line in lines))


def _weight_row(parent: VerdictParent) -> tuple[Text, ...]:
    name, weight = Text(_name(parent.name)), parent.weight
    if isinstance(weight, Absent):
        return name, Text("–"), Text(_prose(weight.reason), style="dim"), Text()
    interval = Text(interval_text(weight), style="dim")
    return name, Text(estimate_text(weight), style="bold"), interval, _bar(weight.estimate)


def _bar(share: float) -> Text:
    filled = round(max(0.0, min(1.0, share)) * BAR)
    return Text("█" * filled, style="cyan").append("░" * (BAR - filled), style="dim")


def _parts(report: Report) -> RenderableType | None:
    lines: list[RenderableType] = []
    for part in report.verdict.parts:
        lines.append(Text.assemble(_prose(part.where), ": ", (relation_words(part.relation), "bold")))
        lines.append(indented(Text(_prose(part.sentence))))
    return Group(*lines) if lines else None


def _layers(report: Report) -> RenderableType | None:
    runs = layer_runs(report)
    if not runs:
        return None
    shown = [_layer_row(run) for run in runs[:RUNS_LISTED]]
    lines: list[RenderableType] = [Aligned(shown, ("the suspect's", "from", "its", ""))]
    if len(runs) > RUNS_LISTED:
        more = count_text(len(runs) - RUNS_LISTED)
        lines.append(Text(f"and {more} more stretches; --json and --html list every layer", style="dim"))
    return Group(*lines)


def _reorderings(report: Report) -> RenderableType | None:
    if isinstance(report.reorderings, Absent):
        return None
    return _bullets([reordering_text(r) for r in report.reorderings])


def _layer_row(run: LayerRun) -> tuple[Text, ...]:
    own = Text(_name(f"{run.stack} {run.own}"))
    if isinstance(run.source, Absent):
        return own, Text("–"), Text(), Text(_prose(run.source.reason), style="dim")
    words = "equal" if run.copied else "alike, not equal"
    return own, Text(_name(run.source), style="bold"), Text(run.theirs), Text(words, style="dim")


def _rivals(report: Report, *, alive: bool) -> RenderableType | None:
    by_reason: dict[str, list[str]] = {}
    for rival in report.verdict.rivals:
        reason = rival.why_excluded
        if isinstance(reason, Absent) == alive:
            words = reason.reason if isinstance(reason, Absent) else reason
            by_reason.setdefault(words, []).append(_name(relation_words(rival.relation)))
    lines: list[RenderableType] = []
    for reason, names in by_reason.items():
        lines += [Text("; ".join(names)), indented(Text(_prose(reason), style="dim"))]
    return Group(*lines) if lines else None


def _post_training(report: Report) -> RenderableType:
    after = report.post_training
    if not has_later_change_to_judge(report):
        reason = after.changed_share.reason if isinstance(after.changed_share, Absent) else "unknown"
        return Text(f"Not judged: {_prose(reason)}")
    lines = [Text(status_words(after.status), style=_STATUS_STYLE[after.status])]
    if isinstance(after.changed_share, Estimate):
        lines.append(Text(changed_text(after.changed_share)))
    if isinstance(after.sigma_relative, Estimate):
        lines.append(Text(f"size of the change (σ): {sigma_text(after.sigma_relative)}"))
    seen = after.would_have_seen
    lines.append(Text(_prose(seen.reason if isinstance(seen, Absent) else seen), style="dim"))
    if isinstance(after.experts, ExpertsSeen):
        lines.append(Text(experts_text(after.experts)))
    alive = [r for r in after.rivals if isinstance(r.why_excluded, Absent)]
    if alive and after.status != "not-detected":
        lines.append(Text("could also be: " + "; ".join(_prose(r.cause) for r in alive)))
    return Group(*lines)


def _replay(report: Report) -> RenderableType:
    replay = report.replay
    if isinstance(replay, Absent):
        return Text(_prose(replay.reason), style="dim")
    lines: list[RenderableType] = []
    if not is_established(report):
        lines.append(Text("No recipe was established; this is the best of those that were tried."))
    table = _pairs()
    match = f"{match_text(replay.match)} of {count_text(replay.informative_elements)} numbers"
    table.add_row(Text("match"), Text(f"{match} where the parents differ"))
    table.add_row(
        Text("arithmetic"), Text(_prose(f"{replay.method}, {arithmetic_words(replay.arithmetic)}"))
    )
    # Where most numbers were changed later, their match tells no arithmetic from another.
    if is_established(report) and not was_changed_later(report):
        as_good = _as_good(replay.parameters.get("indistinguishable"))
        for other in as_good[:3]:
            table.add_row(Text("as good"), Text(_prose(arithmetic_words(other))))
        worse = (a for a in alternatives(replay) if a.arithmetic not in as_good)
        for alternative in islice(worse, 3):
            words = f"{match_text(alternative.match)} {arithmetic_words(alternative.arithmetic)}"
            table.add_row(Text("others", style="dim"), Text(_prose(words), style="dim"))
    table.add_row(Text("novelty"), Text(_prose(novelty_text(report))))
    table.add_row(Text("direction"), Text(_prose(_direction(report))))
    return Group(*lines, table)


def _as_good(found: object) -> tuple[str, ...]:
    return tuple(str(name) for name in found) if isinstance(found, (list, tuple)) else ()


def _direction(report: Report) -> str:
    forward, backward = report.direction.forward_match, report.direction.backward_match
    if isinstance(forward, Absent):
        return plain(forward)
    back = plain(backward) if isinstance(backward, Absent) else match_text(backward)
    return f"the suspect from its parents {match_text(forward)}; a parent from the suspect {back}"


def _control_rows(report: Report) -> list[tuple[str, str, str, str]]:
    own = suspect_consistency(report)
    first = report.verdict.parents[0].weight if report.verdict.parents else Absent("none")
    weight = "–" if isinstance(first, Absent) else estimate_text(first)
    match = Absent("not replayed") if isinstance(report.replay, Absent) else report.replay.match
    rows = [("the suspect", "–" if own is None else match_text(own), _number(match), weight)]
    for control in report.controls:
        name = _name(control.name) + ("" if control.real else " (not a real model)")
        consistency, found = _number(control.consistency), _number(control.match)
        rows.append((name, consistency, found, _prose(control_weight_text(control))))
    return rows


def _controls(report: Report) -> RenderableType:
    lines: list[RenderableType] = []
    if not real_controls(report):
        words = "No real control was given: how often an unrelated model passes was not measured."
        lines.append(Text(words, style="yellow"))
    if was_changed_later(report):
        lines.append(Text("Changed after it was merged, so its consistency says little here.", style="dim"))
    lines += [Text(line) for line in merge_test_lines(report)]
    if report.controls:
        rows = [[Text(cell) for cell in row] for row in _control_rows(report)]
        lines.append(Aligned(rows, ("model", "consistency", "match", "weight")))
    return Group(*lines)


def _number(value: float | Absent) -> str:
    return "–" if isinstance(value, Absent) else match_text(value)


def _previous(report: Report) -> RenderableType | None:
    return None if isinstance(report.previous, Absent) else Text(_prose(report.previous.sentence))


def _quiet_rows(report: Report) -> RenderableType | None:
    if isinstance(report.quiet_rows, Absent) or not report.quiet_rows:
        return None
    lines = []
    for found in islice(report.quiet_rows, LISTED):
        words = f"{count_text(found.quiet_rows)} of {count_text(found.rows)} rows of "
        words += f"{_name(found.tensor)} are those of {_name(found.parent)}, moved by weight decay alone"
        if not isinstance(found.schedule, Absent):
            words += f": {_prose(found.schedule)}"
        if found.exact_rows:
            words += f" ({count_text(found.exact_rows)} reproduced in every bit)"
        lines.append(Text(words))
    return Group(*lines)


def _coverage(report: Report) -> RenderableType:
    c = report.coverage
    share = c.elements_examined / c.elements if c.elements else 0.0
    lines: list[RenderableType] = [
        Text(
            f"{share_text(share)} of the numbers ({count_text(c.elements_examined)} of "
            f"{count_text(c.elements)}), in {count_text(c.tensors_examined)} of {count_text(c.tensors)} "
            f"tensors; {bytes_text(c.bytes_read)} read"
        )
    ]
    if not isinstance(c.network, Absent):
        lines.append(
            Text(
                f"{bytes_text(c.network.bytes_received)} came over the network, in "
                f"{count_text(c.network.requests)} requests"
            )
        )
    if not isinstance(c.order_look, Absent) and c.order_look.unlike:
        lines.append(
            Text(
                f"{count_text(c.order_look.unlike)} matrices were unlike a counterpart: "
                f"{bytes_text(c.order_look.nbytes)} were read to find units in another order"
            )
        )
    if c.not_examined:
        lines.append(Text(f"Left out: {count_text(len(c.not_examined))}"))
    for missed in c.not_examined[:LISTED]:
        lines.append(indented(Text(f"{_name(missed.tensor)}: {_prose(missed.reason)}")))
    if len(c.not_examined) > LISTED:
        more = count_text(len(c.not_examined) - LISTED)
        lines.append(indented(Text(f"and {more} more; --json and --html list every one", style="dim")))
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


def _pairs() -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table
