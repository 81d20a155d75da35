"""An interview in plain text. Everything a model or server said is shown with its control signs escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from parentage.records.absence import Absent
from parentage.records.interview import Group, HiddenPrompt, Interview, Line, SecondReading, Subject
from parentage.records.recital import Part, Recital
from parentage.reports.line_words import line_words
from parentage.reports.wording import clipped, count_text

__all__ = ["CONDITION_WORDS", "hidden_lines", "languages_of", "render_text"]

CONDITION_WORDS = {
    "shipped": "template as shipped, no system message",
    "empty-system": "system message of no words",
    "stripped": "template's own words taken out",
    "raw": "turn markers alone, no system turn",
}
MOST_NAMES = 8


def render_text(found: Interview) -> str:
    """The whole interview, a line feed at its end."""
    return "\n".join(_lines(found)) + "\n"


def _lines(found: Interview) -> Iterator[str]:
    asking = found.asking
    yield "INTERVIEW"
    yield (
        f"{count_text(asking.samples)} samples a condition, {asking.questions} questions in "
        f"{len(asking.languages)} languages, temperature {asking.temperature:g}, seed {asking.seed}"
    )
    yield ""
    for finding in found.findings:
        yield f"* {clipped(finding, 600)}"
    for subject in found.subjects:
        yield ""
        yield from _subject(subject)
    panel = [c for c in found.comparisons if c.kind == "panel"]
    if panel:
        yield ""
        yield "Suspect against panel (Fisher's exact test; p after Holm)"
        for c in sorted(panel, key=lambda c: (c.p_holm, c.shown, c.second))[:24]:
            yield (
                f"  {c.shown:<16} {c.first_claims:>4}/{c.first_answers:<4} {c.first:<24} "
                f"{c.second_claims:>4}/{c.second_answers:<4} {c.second:<24} p {c.p_holm:.2g}"
            )
    yield from _distributions(found)
    yield from _recital(found.recital)
    yield from _second(found.second_reading)
    yield from _line(found.line)
    yield ""
    yield "Limits"
    for limit in found.limits:
        yield f"  {limit}"


def _distributions(found: Interview) -> Iterator[str]:
    if not found.distances:
        return
    yield ""
    yield "Next tokens after neutral beginnings, suspect beside panel (divergence in nats, a lower bound)"
    for d in found.distances:
        yield (
            f"  {d.label:<12} same first token {d.same_first}/{d.prompts} "
            f"({100 * d.agreement.low:.0f} to {100 * d.agreement.high:.0f} %), "
            f"divergence {d.divergence:.4g}"
        )
    for c in found.closer:
        yield (
            f"  closer to {c.first} in {c.first_closer}, to {c.second} in {c.second_closer} of {c.prompts} "
            f"beginnings: p {c.p_holm:.2g} (sign test, Holm)"
        )


def _recital(found: Recital | Absent) -> Iterator[str]:
    if isinstance(found, Absent):
        return
    longest = ", ".join(f"{label} {words}" for label, words in found.longest.items())
    yield ""
    yield f"Recital of {clipped(found.source, 160)}: longest run in words: {longest}"
    for run in found.runs[:6]:
        yield f"  {run.words} words in {run.answers} answers ({run.condition})"
        yield f"    said     {clipped(run.said, 400)}"
        yield f"    written  {clipped(run.written, 400)}"
    for near in found.near[:6]:
        yield (
            f"  {near.same} equal words of {near.words_said} said and {near.words_written} written, in "
            f"{near.answers} answers ({near.condition}); [words] that the other side has not"
        )
        yield f"    said     {clipped(_marked(near.said), 600)}"
        yield f"    written  {clipped(_marked(near.written), 600)}"
    for label, theirs in found.panel_near.items():
        most = max((p.same for p in theirs), default=0)
        yield f"  {label}: nearest passage {most} equal words"
    yield from (f"  {clipped(limit, 200)}" for limit in found.limits)
    if isinstance(found.ratios, Absent):
        yield f"  likelihood ratios: {clipped(found.ratios.reason, 200)}"
        return
    for ratio in found.ratios[:24]:
        yield (
            f"  ln ratio to {ratio.label}: {ratio.suspect - ratio.panel:+.1f} over {ratio.tokens} tokens: "
            f"{clipped(ratio.passage, 100)}"
        )


def _marked(parts: Sequence[Part]) -> str:
    return " ".join(p.text if p.same else f"[{p.text}]" for p in parts)


def _second(found: SecondReading | Absent) -> Iterator[str]:
    if isinstance(found, Absent):
        return
    share = found.agreement
    kappa = found.kappa.reason if isinstance(found.kappa, Absent) else f"kappa {found.kappa:.2f}"
    yield ""
    yield (
        f"Second reader {clipped(found.locator, 160)}: the same names in {100 * share.estimate:.1f} % "
        f"({100 * share.low:.1f} to {100 * share.high:.1f}) of {found.read} answers, {kappa}; "
        f"{found.unread} not read. It decides nothing."
    )


def _line(found: Line | Absent) -> Iterator[str]:
    if isinstance(found, Absent):
        return
    yield ""
    yield f"On the line between {clipped(found.first, 120)} and {clipped(found.second, 120)}"
    yield from (f"  {clipped(words, 600)}" for words in line_words(found))
    known = [(p.weight, p.loss) for p in found.points if not isinstance(p.loss, Absent)]
    if known:
        yield "  loss along it: " + " ".join(f"{w:.2f}:{loss:.3f}" for w, loss in known[::5])


def _subject(subject: Subject) -> Iterator[str]:
    who = subject.respondent
    yield f"{subject.label}: {clipped(who.locator, 160)} ({who.kind})"
    if isinstance(who.model, str):
        yield f"  model        {clipped(who.model, 160)}"
    for ability in who.abilities:
        sign = "yes" if ability.offered else "no"
        yield f"  {ability.name:<12} {sign}: {clipped(ability.finding, 200)}"
    yield from hidden_lines(subject.hidden)
    for reason in subject.left_out:
        yield f"  not asked    {clipped(reason, 240)}"
    for group in subject.groups:
        if group.language == "all":
            yield from _group(group, subject)


def hidden_lines(hidden: HiddenPrompt | Absent) -> Iterator[str]:
    """What a template says by itself, a line each."""
    if isinstance(hidden, Absent):
        yield f"  template     not read: {clipped(hidden.reason, 200)}"
        return
    yield f"  template     {clipped(hidden.place, 160)} (SHA-256 {hidden.sha256[:16]}…)"
    if not hidden.texts:
        yield "  it adds      nothing of its own"
    for text in hidden.texts:
        lines = f"line {', '.join(map(str, text.lines))}" if text.lines else "not traced"
        yield f"  it adds      “{clipped(text.text, 300)}” ({text.when}; {lines})"
    for rest in hidden.left_over:
        yield f"  left over    “{clipped(rest, 300)}”"


def _group(group: Group, subject: Subject) -> Iterator[str]:
    yield ""
    words = CONDITION_WORDS.get(group.condition, group.condition)
    yield f"  {group.condition} ({words}): {group.answers} answers"
    if group.missing:
        yield f"    {group.missing} planned answers did not come"
    for rate in group.names[:MOST_NAMES]:
        share = rate.share
        yield (
            f"    {rate.shown:<18} {rate.claims:>5}  {100 * share.estimate:5.1f} %  "
            f"({100 * share.low:.1f} to {100 * share.high:.1f})  {languages_of(subject, group, rate.name)}"
        )
    if len(group.names) > MOST_NAMES:
        yield f"    and {len(group.names) - MOST_NAMES} more names: --json has all"
    yield (
        f"    no listed name {group.unnamed}, ambiguous {group.ambiguous}, declined {group.refusals}, "
        f"empty {group.empty}"
    )


def languages_of(subject: Subject, group: Group, name: str) -> str:
    """A name's claims of answers by language, where there are several."""
    found = []
    for other in subject.groups:
        if other.condition == group.condition and other.language != "all" and other.answers:
            claims = next((r.claims for r in other.names if r.name == name), 0)
            found.append(f"{other.language} {claims}/{other.answers}")
    return clipped(" ".join(found), 160) if len(found) > 1 else ""
