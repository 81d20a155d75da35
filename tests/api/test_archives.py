"""What an archive holds is derived again step by step, and what does not follow is named."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from parentage import api
from parentage.api.archives import archive_of
from parentage.cards.archives import MANIFEST, SIGNATURE, archive_bytes, members_of
from parentage.errors import LabelError
from parentage.records.absence import Absent
from parentage.records.archive import Manifest, Member
from parentage.records.card_sources import CardSources, CardText, Versions, VersionText
from parentage.records.codec import from_plain, to_plain
from parentage.verdicts.dossier.compose import compose
from tests.behaviour.answered import answers_of
from tests.cards.test_signing import Pair, pair
from tests.cli.running import FIXTURES, Run
from tests.verdicts.cards.weighing import audited
from tests.verdicts.dossier.worlds import CALLED, CLOSED, OPEN_CARD, card_of, interview_of

SAVED = Path(__file__).resolve().parents[1] / "golden" / "saved"
VERSIONS = Versions(
    "org/marola",
    (VersionText("1" * 40, "2026-06-08", OPEN_CARD), VersionText("2" * 40, "2026-06-09", CLOSED)),
)
STEPS = (
    "evidence from the pinned inputs",
    "report from the evidence",
    "readings from the answers",
    "claims from the card's text",
    "dossier from its parts",
    "reports and pages from the dossier",
)


@cache
def made() -> api.DossierResult:
    """A dossier on the golden merge, whose inputs are fixtures."""
    said = {
        "suspect": answers_of({"raw": lambda k: "I am Nex." if k % 4 else "Hello."}, samples=40),
        "panel-1": answers_of({"raw": lambda k: "I am Qwen."}, samples=40),
    }
    interview = interview_of(*said.values())
    report = audited("merge")
    sources = CardSources(
        CardText("README.md", CLOSED, Absent("its place says no name")), called=CALLED, versions=VERSIONS
    )
    card = card_of(CLOSED, report, interview, versions=VERSIONS)
    dossier = compose("merge.safetensors", report, interview, card, {"suspect": "merge.safetensors"})
    return api.DossierResult(dossier, api.load_evidence(SAVED / "merge.evidence.json"), said, sources)


@cache
def raw() -> bytes:
    return archive_of(made())


def statuses(path: Path, **more: Any) -> dict[str, str]:
    found = api.check_archive(path, **{"inputs": False, **more})
    assert tuple(step.what for step in found.steps) == STEPS
    return {step.what: step.status for step in found.steps}


def rewritten(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """The archive with other words in a member, and a manifest that lists them so."""
    members = members_of(raw(), "x")
    assert old in members[name].decode()
    members[name] = members[name].decode().replace(old, new, 1).encode()
    manifest = from_plain(Manifest, json.loads(members[MANIFEST]))
    from hashlib import sha256

    listed = tuple(
        Member(m.name, sha256(members[m.name]).hexdigest(), len(members[m.name]), m.what)
        for m in manifest.members
    )
    plain = {"schema": "parentage.archive", "version": 1, **to_plain(replace(manifest, members=listed))}
    path = tmp_path / "changed.zip"
    path.write_bytes(archive_bytes({**members, MANIFEST: json.dumps(plain).encode()}))
    return path


def saved(tmp_path: Path) -> Path:
    path = tmp_path / "dossier.zip"
    path.write_bytes(raw())
    return path


def test_an_archive_is_the_same_bytes_each_time_and_names_what_it_pins() -> None:
    assert archive_of(made()) == raw()
    manifest = json.loads(members_of(raw(), "x")[MANIFEST])
    assert {"numpy", "numba", "python"} <= set(manifest["versions"])
    assert [m["role"] for m in manifest["inputs"]] == ["suspect", "parent", "parent", "control"]
    assert all(len(digest) == 64 for m in manifest["inputs"] for digest in m["digests"].values())
    assert {m["name"] for m in manifest["members"]} == set(members_of(raw(), "x")) - {MANIFEST}
    assert all(m["what"] for m in manifest["members"])


def test_every_step_but_the_measuring_follows_without_the_inputs(tmp_path: Path) -> None:
    found = statuses(saved(tmp_path))
    assert found.pop("evidence from the pinned inputs") == "not-rederived"
    assert set(found.values()) == {"agrees"}


# What is changed by who can write a manifest too; the steps that must differ.
FORGED = {
    "a share in the evidence": ("evidence.json", '"sample":65536', '"sample":65535', "report from"),
    "an answer": ("answers/suspect.jsonl", '"text":"I am Nex."', '"text":"I am Rio."', "readings from"),
    "the card": ("card/sources.json", "post-trained", "merged", "claims from"),
    "an older version of the card": ("card/sources.json", "is a merge of", "is a cousin of", "claims from"),
    "a severity": ("dossier.json", '"severity": "high"', '"severity": "low"', "dossier from"),
    "a sentence": ("dossier.json", "which its card does not name", "as its card says", "dossier from"),
    "the audit's verdict": ("dossier.json", '"status": "supported"', '"status": "undetermined"', "report"),
    "a page": ("dossier.html", "</h1>", " (original)</h1>", "reports and pages"),
    "the report beside it": ("report.json", "is a merge", "is an original", "reports and pages"),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_was_changed_by_who_wrote_the_manifest_too_is_found(what: str, tmp_path: Path) -> None:
    name, old, new, step = FORGED[what]
    found = statuses(rewritten(tmp_path, name, old, new))
    assert [s for s, status in found.items() if status == "differs" and s.startswith(step)], found


def test_a_readable_copy_that_says_otherwise_than_what_was_read_is_found(tmp_path: Path) -> None:
    found = statuses(rewritten(tmp_path, "card/README.md", "post-trained", "merged"))
    assert found["claims from the card's text"] == "differs"


def test_a_signature_holds_for_these_members_and_this_key_alone(tmp_path: Path) -> None:
    keys, others = pair(tmp_path / "a"), pair(tmp_path / "b")
    from parentage.cards.keys import load_signer

    path = tmp_path / "signed.zip"
    api.save_archive(made(), path, signer=load_signer(keys.private))
    found = api.check_archive(path, key=keys.public, inputs=False)
    assert isinstance(found.signed_by, str)
    assert isinstance(api.check_archive(path, inputs=False).signed_by, Absent)
    for archive, key, code in _wrongly(path, keys, others, tmp_path):
        with pytest.raises(LabelError) as raised:
            api.check_archive(archive, key=key, inputs=False)
        assert raised.value.code == code


def _wrongly(path: Path, keys: Pair, others: Pair, folder: Path) -> list[tuple[Path, Path, str]]:
    members = members_of(path.read_bytes(), "x")
    forged = members_of(rewritten(folder, "dossier.html", "</h1>", "!</h1>").read_bytes(), "x")
    swapped = folder / "swapped.zip"
    swapped.write_bytes(archive_bytes({**forged, SIGNATURE: members[SIGNATURE]}))
    return [
        (path, others.public, "signature-other-key"),
        (saved(folder), keys.public, "signature-missing"),
        (swapped, keys.public, "archive-member-changed"),
    ]


def test_rules_of_others_are_never_run(tmp_path: Path) -> None:
    path = rewritten(tmp_path, "card/sources.json", '"words": []', '"words": ["(a+)+$"]')
    assert statuses(path)["claims from the card's text"] == "not-rederived"


def test_the_command_tells_each_step_and_ends_with_5_where_one_differs(run: Run, tmp_path: Path) -> None:
    told = run("verify", saved(tmp_path), "--without-inputs")
    assert told.code == 0, told.err
    assert all(step in told.out for step in STEPS)
    assert "signature: the archive is not signed" in told.out
    forged = rewritten(tmp_path, "dossier.json", '"severity": "high"', '"severity": "low"')
    done = run("verify", forged, "--without-inputs", "--json")
    assert (done.code, done.error) == (5, "archive-differs")
    assert json.loads(done.out)["schema"] == "parentage.archive-check"
    assert run("verify", SAVED / "merge.evidence.json", "--without-inputs").error == "usage-verify"


def test_inputs_that_are_not_there_are_told_and_are_no_difference(tmp_path: Path) -> None:
    path = saved(tmp_path)
    found = api.check_archive(path, places={"merge.safetensors": str(tmp_path / "gone")})
    assert found.holds
    assert found.steps[0].status == "not-rederived"
    assert "gone" in found.steps[0].detail


@pytest.mark.slow
def test_inputs_that_are_there_are_measured_again_and_others_are_told_from_them(tmp_path: Path) -> None:
    run = FIXTURES / "training-run"
    given = api.DossierInputs(
        str(run / "merge.safetensors"),
        (str(run / "end.safetensors"), str(run / "base.safetensors")),
        sample=512,
        workers=1,
    )
    path = tmp_path / "dossier.zip"
    api.save_archive(api.dossier(given), path)
    found = api.check_archive(path, workers=1)
    status = {step.what: step.status for step in found.steps}
    assert status["evidence from the pinned inputs"] == "agrees"
    assert found.holds
    assert not isinstance(found.evidence, Absent)
    assert found.evidence.files == 3
    elsewhere = {"end.safetensors": str(run / "sibling-1.safetensors")}
    other = api.check_archive(path, workers=1, places=elsewhere)
    assert other.steps[0].status == "differs"
    assert not other.holds
