"""Weight files by revision, beside the card's sentences: from a hub, from git, from folders."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from parentage.cards.claims.vocabulary import load_vocabulary
from parentage.cards.history.places import card_history
from parentage.cards.history.weight_files import change_between
from parentage.cards.history.weights import weight_history, weight_sources
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.errors import CardError
from parentage.records.absence import Absent
from parentage.records.weight_history import WeightFile, WeightHistory
from tests.cards.claims.labelled import FOLDER
from tests.cards.history.revisions import Revision, Revisions
from tests.checkpoints.remote.servers import Threaded
from tests.cli.running import Run

BEFORE = (FOLDER / "case-before-edit.md").read_bytes()
AFTER = (FOLDER / "case-after-edit.md").read_bytes()
OLD, NEW = b"the first upload" * 90, b"the second upload" * 90
RULES = load_vocabulary()
FILE = "model.safetensors"


def commits(*rows: tuple[str, bytes, bytes | None]) -> list[Revision]:
    """(day, card, weights) of each."""
    return [
        Revision(day, {"README.md": card} | ({} if weights is None else {FILE: weights}))
        for day, card, weights in rows
    ]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Revisions]]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    servers = Threaded()
    yield lambda *rows: Revisions(servers, revisions=commits(*rows))
    servers.close()


def of_hub(found: Revisions) -> WeightHistory:
    with RemoteSession(hub_endpoint=found.address) as session:
        return weight_history(weight_sources(["org/m"], session), card_history("org/m", RULES, session))


EDITED_ALONE = (("07", BEFORE, OLD), ("15", AFTER, OLD), ("16", AFTER, OLD))
REPLACED = (("06", BEFORE, None), ("07", BEFORE, OLD), ("15", AFTER, OLD), ("20", AFTER, NEW))


def test_a_card_that_changed_while_the_weights_did_not_is_told(hub: Callable[..., Revisions]) -> None:
    server = hub(*EDITED_ALONE)
    found = of_hub(server)
    (version,) = found.versions
    assert (version.change, version.when[:10]) == ("first", "2026-06-07")
    assert version.files[0].sha256 == hashlib.sha256(OLD).hexdigest()
    assert [(m.when[8:10], m.weights, m.card_changed) for m in found.moments] == [
        ("07", "first", True),
        ("15", "same", True),
    ]
    assert "relation merge" in found.moments[1].claims_came
    assert "relation finetune" in found.moments[1].claims_went
    assert found.whole
    # Nothing of the weights was read: only what the hub publishes of them.
    assert not [a for a in server.asked if a.path.endswith(FILE)]


def test_weights_that_were_replaced_later_are_told_with_the_day(hub: Callable[..., Revisions]) -> None:
    found = of_hub(hub(*REPLACED))
    assert [(v.change, v.when[8:10], v.altered) for v in found.versions] == [
        ("first", "07", (FILE,)),
        ("changed", "20", (FILE,)),
    ]
    assert [m.weights for m in found.moments] == ["none", "first", "same", "changed"]
    assert not found.moments[3].card_changed


def test_files_of_one_size_without_digests_are_unknown_and_never_the_same(
    hub: Callable[..., Revisions],
) -> None:
    size = len(OLD)
    one = WeightFile(FILE, size, Absent("none"), "a" * 40)
    other = WeightFile(FILE, size, Absent("none"), "b" * 40)
    assert change_between((one,), (other,)) == ("unknown", ())
    assert change_between((one,), (WeightFile(FILE, size, "c" * 64, "b" * 40),)) == ("unknown", ())
    assert change_between((one,), (one,)) == ("same", ())
    assert change_between((one,), (WeightFile(FILE, size + 1, Absent("none"), "b" * 40),))[0] == "changed"
    server = hub(
        ("07", BEFORE, OLD),
        (
            "15",
            AFTER,
            NEW[: len(OLD)].ljust(len(OLD), b"."),
        ),
    )
    server.published = False
    assert [v.change for v in of_hub(server).versions] == ["first", "unknown"]
    assert not of_hub(server).whole


def test_the_same_bytes_under_another_name_are_no_change() -> None:
    one, other = (WeightFile(n, 3, "c" * 64, Absent("-")) for n in ("a.safetensors", "b.safetensors"))
    assert change_between((one,), (other,)) == ("same", ())
    assert change_between((one,), (one, other)) == ("changed", ("b.safetensors",))
    assert change_between((one,), ()) == ("gone", ("a.safetensors",))


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., None]:
    """Commits files of the test's own in a repository of its own."""
    folder = tmp_path / "model"
    folder.mkdir()

    def run(*arguments: str, day: str = "01") -> None:
        date = f"2026-06-{day}T12:00:00+00:00"
        who = {f"GIT_{w}_{k}": "x" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
        when = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, **who, **when},
            check=True,
            capture_output=True,
        )

    def commit(day: str, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (folder / name).write_bytes(data)
        run("add", ".")
        run("commit", "-qm", day, day=day)

    run("init", "-q", "-b", "main")
    return commit


def pointer(data: bytes) -> bytes:
    """What Git LFS keeps in the repository instead of the file."""
    digest = hashlib.sha256(data).hexdigest()
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(data)}\n".encode()


def test_a_clone_of_two_commits_tells_its_weights_with_their_digests(
    git: Callable[..., None], tmp_path: Path
) -> None:
    git("07", {"README.md": BEFORE, FILE: OLD})
    git("15", {"README.md": AFTER, FILE: NEW})
    place = str(tmp_path / "model")
    found = weight_history(weight_sources([place]), card_history(place, RULES))
    assert [v.change for v in found.versions] == ["first", "changed"]
    assert [v.files[0].sha256 for v in found.versions] == [
        hashlib.sha256(d).hexdigest() for d in (OLD, NEW)
    ]
    assert found.whole


def test_pointers_are_what_they_point_to_and_not_what_they_are(
    git: Callable[..., None], tmp_path: Path
) -> None:
    """The file itself, its pointer, the pointer to other bytes, a text that looks like one."""
    git("07", {"README.md": BEFORE, FILE: OLD})
    git("08", {FILE: pointer(OLD)})
    git("09", {FILE: pointer(NEW)})
    git("10", {FILE: pointer(NEW) + b"more"})
    place = str(tmp_path / "model")
    found = weight_history(weight_sources([place]), card_history(place, RULES))
    assert [(v.change, v.when[8:10]) for v in found.versions] == [
        ("first", "07"),
        ("changed", "09"),
        ("changed", "10"),
    ]
    assert found.versions[1].files[0].size == len(NEW)
    assert any("pointers" in limit for limit in found.limits)


def test_folders_are_versions_in_the_order_given(tmp_path: Path) -> None:
    for name, card, weights in (("one", BEFORE, OLD), ("two", AFTER, OLD), ("three", AFTER, NEW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_bytes(card)
        (tmp_path / name / FILE).write_bytes(weights)
        (tmp_path / name / "optimizer.pt").write_bytes(name.encode())
    places = [str(tmp_path / n) for n in ("one", "two", "three")]
    found = weight_history(weight_sources(places), card_history(places, RULES))
    assert [(v.revision, v.change) for v in found.versions] == [("one", "first"), ("three", "changed")]
    assert [(m.weights, m.card_changed) for m in found.moments] == [
        ("first", True),
        ("same", True),
        ("changed", False),
    ]
    assert not found.whole


def test_a_link_out_of_a_folder_is_not_followed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "two" / FILE).symlink_to(tmp_path / "secret")
    places = [str(tmp_path / n) for n in ("one", "two")]
    with pytest.raises(Exception, match="leaves the checkpoint"):
        weight_history(weight_sources(places), card_history(places, RULES))


def test_several_places_must_be_folders(tmp_path: Path) -> None:
    with pytest.raises(CardError) as caught:
        card_history([str(tmp_path), "org/m"], RULES)
    assert caught.value.code == "card-history"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    return Run(monkeypatch, capfd)


@pytest.mark.parametrize(
    ("rows", "status", "finding"),
    [
        (EDITED_ALONE, "contradicted", {"claims-changed-alone"}),
        (REPLACED, "supported", {"claims-changed-alone", "weights-changed-alone"}),
        ((("15", AFTER, OLD), ("16", AFTER, OLD)), "undetermined", set()),
    ],
    ids=["never", "later", "nothing earlier"],
)
def test_a_card_that_says_its_weights_were_replaced_is_held_against_them(
    rows: tuple[tuple[str, bytes, bytes]], status: str, finding: set[str], run: Run,
    hub: Callable[..., Revisions], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub(*rows).address)
    card = tmp_path / "card.md"
    card.write_bytes(AFTER)
    done = run("card", card, "--history", "org/m", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    (upload,) = [c for c in found["claims"] if c["claim"]["kind"] == "upload"]
    assert upload["status"] == status, upload["reason"]
    assert "wrong checkpoint" in upload["claim"]["words"]
    told = {f["id"] for f in found["findings"]}
    assert finding == told & {"claims-changed-alone", "weights-changed-alone"}
    text = run("card", card, "--history", "org/m").out
    assert hashlib.sha256(OLD).hexdigest() in text
    assert "card and weights:" in text
