"""What a model was asked, what it answered, and what that shows: the records of an interview."""

from __future__ import annotations

from dataclasses import dataclass

from parentage.records.absence import Absent
from parentage.records.estimate import Estimate
from parentage.records.recital import Recital

__all__ = [
    "ANSWERS_SCHEMA",
    "ANSWERS_VERSION",
    "SCHEMA",
    "VERSION",
    "Ability",
    "Answer",
    "Answers",
    "Asking",
    "Closer",
    "Comparison",
    "Disagreement",
    "Distance",
    "Group",
    "HiddenPrompt",
    "HiddenText",
    "Interview",
    "Line",
    "LineOffset",
    "LinePoint",
    "NameRate",
    "NextTokens",
    "PassageScore",
    "Respondent",
    "SecondReading",
    "Subject",
    "TemplateText",
]

SCHEMA = "parentage.interview"
VERSION = 1

NOT_ASKED = Absent("not asked")
NOT_RECORDED = Absent("not recorded by the version that measured")
ANSWERS_SCHEMA = "parentage.answers"
ANSWERS_VERSION = 1


@dataclass(frozen=True, slots=True)
class HiddenText:
    """A stretch of words that the template itself puts into a prompt that has no system message.

    ``lines``: where in the template it is written, empty when that could not be traced. ``when``:
    "without-system" (gone once a system message is given), "always", or "unknown" (the template takes no
    system message).
    """

    text: str
    lines: tuple[int, ...]
    when: str


@dataclass(frozen=True, slots=True)
class TemplateText:
    """Words in a template that a plain question does not bring out (tools, reasoning, other roles)."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class HiddenPrompt:
    """A chat template read: what it says when nobody told it to.

    Renderings are of one question (``QZXUSERQZX``) and clipped to 4,000 characters; ``system_given`` is of
    a system message (``QZXSYSTEMQZX``) before it. ``stripped``: with the template's own words taken out of
    its syntax tree, ``left_over``: words that remain there all the same. ``raw``: turn markers alone.
    ``traced``: whether every character could be followed to its literal.
    """

    template: str
    place: str
    sha256: str
    rendered: str
    system_given: str | Absent
    texts: tuple[HiddenText, ...]
    other_texts: tuple[TemplateText, ...]
    traced: bool
    stripped: str
    left_over: tuple[str, ...]
    raw: str | Absent


@dataclass(frozen=True, slots=True)
class Asking:
    """What was asked for: the plan, equal for the suspect and its panel.

    ``samples``: answers wanted in each condition. ``temperature`` 1 samples from the model's own
    distribution. ``questions_sha256`` pins the questions' ids and words.
    """

    conditions: tuple[str, ...]
    samples: int
    seed: int
    temperature: float
    max_tokens: int
    questions: int
    languages: tuple[str, ...]
    questions_sha256: str


@dataclass(frozen=True, slots=True)
class Ability:
    """Something that a target can or cannot do, as probed, with the words of the finding."""

    name: str
    offered: bool
    finding: str


@dataclass(frozen=True, slots=True)
class Respondent:
    """Who was asked: where it is, what it is called there, what it offers."""

    locator: str
    kind: str
    model: str | Absent
    abilities: tuple[Ability, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, word for word.

    ``number`` counts within the plan. ``begun``: the words that were put into the model's mouth, which
    stand before ``text``. ``clipped``: the answer was longer than is kept. Tokens as the target counts.
    """

    number: int
    condition: str
    question: str
    language: str
    style: str
    repeat: int
    seed: int
    begun: str
    text: str | Absent
    finish: str
    clipped: bool
    tokens_in: int | Absent
    tokens_out: int | Absent


@dataclass(frozen=True, slots=True)
class NextTokens:
    """The most probable tokens after a neutral beginning, as text, with natural log-probabilities."""

    prompt: str
    tokens: tuple[str, ...]
    logprobs: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PassageScore:
    """A passage as the beginning of an answer: its tokens, and the sum of their log-probabilities (ln)."""

    passage: str
    tokens: int
    logprob: float


@dataclass(frozen=True, slots=True)
class Answers:
    """One target's whole interview, as the file of answers holds it.

    ``left_out``: conditions that the target does not allow, each with the reason.
    """

    tool: str
    asking: Asking
    respondent: Respondent
    hidden: HiddenPrompt | Absent
    left_out: tuple[str, ...]
    answers: tuple[Answer, ...]
    next_tokens: tuple[NextTokens, ...] | Absent = NOT_ASKED
    passages: tuple[PassageScore, ...] | Absent = NOT_ASKED


@dataclass(frozen=True, slots=True)
class NameRate:
    """How many answers claim a name; the share's interval is Wilson's, of all answers that came."""

    name: str
    shown: str
    kind: str
    claims: int
    share: Estimate


@dataclass(frozen=True, slots=True)
class Group:
    """The answers of one condition, in one language or (``language`` "all") in all.

    ``answers`` came, ``missing`` did not. Of those that came, ``ambiguous`` hold names and do not tell
    whose; ``empty`` hold no words; ``refusals`` decline; the rest of those without a claim name nobody.
    """

    condition: str
    language: str
    answers: int
    missing: int
    ambiguous: int
    empty: int
    refusals: int
    unnamed: int
    names: tuple[NameRate, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """One who was asked: the suspect, or one of the panel."""

    label: str
    role: str
    respondent: Respondent
    hidden: HiddenPrompt | Absent
    left_out: tuple[str, ...]
    answers_sha256: str
    tokens_in: int | Absent
    tokens_out: int | Absent
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How often a name is claimed here and there: Fisher's exact test, Holm over all of one kind.

    ``kind`` "panel": the suspect against one of the panel, in one condition. ``kind`` "condition": one
    subject under two conditions, ``first`` and ``second``.
    """

    kind: str
    name: str
    shown: str
    first: str
    second: str
    first_claims: int
    first_answers: int
    second_claims: int
    second_answers: int
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Distance:
    """The suspect's next tokens beside one of the panel's: equal first choices, and divergence in nats.

    ``divergence``: a lower bound of the mean KL(suspect ‖ panel) over the prompts.
    """

    label: str
    prompts: int
    same_first: int
    agreement: Estimate
    divergence: float


@dataclass(frozen=True, slots=True)
class Closer:
    """To which of two of the panel the suspect is closer, counted over prompts; an exact sign test."""

    first: str
    second: str
    first_closer: int
    second_closer: int
    prompts: int
    p: float
    p_holm: float


@dataclass(frozen=True, slots=True)
class Disagreement:
    """An answer, by its number, and the names that each reader found claimed in it."""

    number: int
    rules: tuple[str, ...]
    reader: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecondReading:
    """How a second reader, a model, agrees with the rules on the suspect's answers. It decides nothing.

    ``agreement``: share of answers in which both found the same names. ``unread``: replies that were none.
    """

    locator: str
    model: str | Absent
    read: int
    unread: int
    agreement: Estimate
    kappa: float | Absent
    disagreements: tuple[Disagreement, ...]


@dataclass(frozen=True, slots=True)
class LinePoint:
    """A blend of two parents: the first's weight, how far the suspect's next tokens are, its loss; nats."""

    weight: float
    divergence: float
    loss: float | Absent


@dataclass(frozen=True, slots=True)
class LineOffset:
    """A parent that was asked as the suspect was: the weight that it has, the one at which it falls on the
    line, and the divergence that is left there, nats. The difference is the runtime's doing."""

    label: str
    weight: float
    found: Estimate
    divergence: float


@dataclass(frozen=True, slots=True)
class Line:
    """The line between two parents, and the first's weight where the suspect's next tokens fall.

    ``how``: what a point of the line is; ``alike``: stored and run as the suspect is. ``nearest``: the
    weight of least divergence, which every model has, merge or not; ``off``: the divergence left there over
    that between the parents themselves. ``weight`` is absent, with the reason, where the suspect is off the
    line or its runtime's doing is not known. ``offsets``: of parents that were asked as the suspect was.
    """

    first: str
    second: str
    prompts: int
    points: tuple[LinePoint, ...]
    weight: Estimate | Absent
    how: str = ""
    alike: bool = False
    nearest: float | Absent = NOT_RECORDED
    off: float | Absent = NOT_RECORDED
    offsets: tuple[LineOffset, ...] = ()


@dataclass(frozen=True, slots=True)
class Interview:
    """What was asked, of whom, what they claim to be, how they differ. States no motive, no descent."""

    tool: str
    asking: Asking
    subjects: tuple[Subject, ...]
    comparisons: tuple[Comparison, ...]
    findings: tuple[str, ...]
    limits: tuple[str, ...]
    distances: tuple[Distance, ...] = ()
    closer: tuple[Closer, ...] = ()
    recital: Recital | Absent = NOT_ASKED
    second_reading: SecondReading | Absent = NOT_ASKED
    line: Line | Absent = NOT_ASKED
