"""The model card of a merge: what people and the hub read of its making.

The metadata are the hub's own (huggingface.co/docs/hub/model-cards): ``base_model`` takes ids, and a
parent that carries none stands in the table alone. What is shown of a parent's names is hostile: cells are
written so that none of it is Markdown or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import yaml

from parentage.records.absence import Absent
from parentage.records.merge import Basis, MergeRecord, Parent

__all__ = ["RECIPE_FILE", "WATCHED", "licence_notes", "model_card", "plain_sentence", "shown_cell"]

RECIPE_FILE: Final = "merge-recipe.yaml"
# Parts of licence names that say what a merge's maker should look at; information, no legal advice.
WATCHED: Final = (
    (r"(^|-)nd(-|$)", "forbids derivatives"),
    (r"(^|-)nc(-|$)|non-?commercial|research", "forbids commercial use"),
    (r"gpl|-sa(-|$)", "asks for the same licence on what is derived"),
    (r"llama|gemma|qwen-research|openrail|deepseek", "has conditions of use and naming of its own"),
)

# What an audit says of training after a merge.
TRAINING: Final = {
    "detected": "The audit found that it was changed, as by training, after it was merged.",
    "not-detected": "The audit found no sign of training after the merge.",
    "undetermined": "Whether it was trained after it was merged is not known.",
}


def plain_sentence(record: MergeRecord) -> str:
    """In plain words: what it is, of what, how that is known, and whether something was trained."""
    shares = [(p, p.share) for p in record.parents if not isinstance(p.share, Absent)]
    if shares:
        what = " and ".join(f"{100 * share:.4g} % {_shown(p)}" for p, share in shares)
        made = f"a weighted sum of {what}"
    else:
        names = [_shown(p) for p in record.parents]
        made = f"computed by {record.method} from {' and '.join(names)}"
    return _known(record.basis, made)


def _known(basis: Basis, made: str) -> str:
    share = f"{basis.matches:,} of {basis.elements:,}" if _counted(basis) else "an unknown share"
    if basis.kind == "made":
        said = f"This model is a merge: {made}. Its weights were computed from theirs"
        return f"{said}; no training was part of it."
    if basis.kind == "replayed":
        said = f"This model is a merge: {made}. That recipe was carried out again"
        return f"{said}, and every bit of its weights is what it makes."
    if basis.kind == "recovered":
        return (
            f"An audit found this model to be a merge: {made}. The recipe was recovered by audit, not told "
            f"by who made the model: it gives {share} of the numbers that were examined where the parents "
            f"differ. {TRAINING.get(str(basis.post_training), TRAINING['undetermined'])}"
        )
    return (
        f"This model is said to be a merge: {made}. That was stated by who wrote this label and is not "
        f"proven: the recipe gives {share} of the numbers that were compared."
    )


def _counted(basis: Basis) -> bool:
    return isinstance(basis.matches, int) and isinstance(basis.elements, int)


def licence_notes(parents: Sequence[Parent]) -> tuple[str, ...]:
    """What the parents' licences ask to be looked at."""
    known = {p.name: p.licence for p in parents if isinstance(p.licence, str)}
    found = []
    if len(set(known.values())) > 1:
        kinds = ", ".join(sorted(set(known.values())))
        found.append(
            f"The parents' licences differ ({kinds}): what holds for the merge is for you to find out."
        )
    for name, licence in known.items():
        for pattern, what in WATCHED:
            if re.search(pattern, licence.lower()):
                found.append(f"The licence of {name} ({licence}) {what}.")
    unknown = [p.name for p in parents if not isinstance(p.licence, str)]
    if unknown:
        found.append(f"No licence is known of {', '.join(unknown)}.")
    return tuple(found)


def model_card(record: MergeRecord) -> str:
    """The whole card."""
    front = yaml.safe_dump(_front(record), sort_keys=False, allow_unicode=True, width=100)
    return f"---\n{front}---\n" + "\n".join(_body(record)) + "\n"


def _front(record: MergeRecord) -> dict[str, Any]:
    ids = list(dict.fromkeys(p.id for p in record.parents if isinstance(p.id, str)))
    licences = {p.licence for p in record.parents}
    table: dict[str, Any] = {"base_model": ids} if ids else {}
    table |= {
        "base_model_relation": "merge",
        "tags": ["merge", "parentage", f"merge-method:{record.method}"],
    }
    one = next(iter(licences)) if len(licences) == 1 else None
    # Of a base and an adapter over it two licences are told in one line, which is no licence's name.
    if isinstance(one, str) and "(" not in one:
        table["license"] = one
    return table


def _body(record: MergeRecord) -> Iterator[str]:
    yield f"# {shown_cell(str(record.recipe.get('name') or 'A merge'))}\n"
    yield plain_sentence(record) + "\n"
    yield "| parent | share | licence | revision | weight files |"
    yield "|---|---|---|---|---|"
    for parent in record.parents:
        yield _row(parent)
    yield ""
    for note in licence_notes(record.parents):
        yield f"- {shown_cell(note)}"
    yield "\n## Recipe\n"
    version = record.tool["version"]
    yield (
        f"Method `{record.method}`, arithmetic `{record.profile}`, seed {record.seed}, "
        f"parentage {version}. {_tensors(record)}\n"
    )
    if record.basis.kind != "made":
        yield from (f"- {shown_cell(note)}" for note in record.notes)
        yield ""
    yield "```yaml"
    yield _fenced(yaml.safe_dump(dict(record.recipe), sort_keys=False, allow_unicode=True)) + "```\n"
    yield f"SHA-256 of the recipe: `{record.recipe_sha256}`.\n"
    yield "## To check it\n"
    yield "With the parents at hand, anyone can make these weights again and compare every bit:\n"
    yield f"    parentage replay {RECIPE_FILE} ."


def _tensors(record: MergeRecord) -> str:
    if record.basis.kind == "recovered":
        return f"{record.merged:,} tensors were compared with it."
    return (
        f"{record.merged:,} tensors were merged, {len(record.copied):,} copied, "
        f"{len(record.dropped):,} of the parents' left out; `parentage.json` lists them with the reasons."
    )


def _row(parent: Parent) -> str:
    name = _shown(parent) + (" (base)" if parent.base else "")
    share = "–" if isinstance(parent.share, Absent) else f"{100 * parent.share:.4g} %"
    licence = "unknown" if isinstance(parent.licence, Absent) else shown_cell(parent.licence)
    revision = "–" if isinstance(parent.revision, Absent) else shown_cell(parent.revision)
    digests = [f.sha256 for f in parent.files if isinstance(f.sha256, str)]
    shown = f"`{digests[0]}`" if digests else "not hashed"
    more = f" and {len(digests) - 1:,} more" if len(digests) > 1 else ""
    return f"| {name} | {share} | {licence} | {revision} | {shown}{more} |"


def _shown(parent: Parent) -> str:
    return shown_cell(parent.id if isinstance(parent.id, str) else parent.name)


def shown_cell(text: str) -> str:
    """Text that stays text in a table of Markdown: no links, no HTML, no line breaks."""
    visible = "".join(c if c.isprintable() else "�" for c in text)[:300]
    return re.sub(r"([\\`*_{}\[\]<>|#!~&])", r"\\\1", visible)


def _fenced(text: str) -> str:
    """A recipe cannot close the block that it stands in."""
    return text.replace("```", "'''")
