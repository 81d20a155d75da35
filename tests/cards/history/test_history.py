"""A card's history from a real git repository, and from a hub on loopback."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from parentage.cards.claims.vocabulary import load_vocabulary
from parentage.cards.history.git_versions import git_versions
from parentage.cards.history.places import card_history
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.errors import CardError
from parentage.records.card_report import CardHistory
from tests.cards.claims.labelled import FOLDER
from tests.checkpoints.remote.servers import Site, Threaded

BEFORE = (FOLDER / "case-before-edit.md").read_text(encoding="utf-8")
AFTER = (FOLDER / "case-after-edit.md").read_text(encoding="utf-8")
RULES = load_vocabulary()


@pytest.fixture
def git(tmp_path: Path) -> Callable[..., str]:
    """Runs git in a repository of the test's own."""
    folder = tmp_path / "model"
    folder.mkdir()

    def run(*arguments: str, date: str = "2026-06-07T12:00:00+00:00") -> str:
        who = {f"GIT_{w}_{k}": "x" for w in ("AUTHOR", "COMMITTER") for k in ("NAME", "EMAIL")}
        when = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, **who, **when},
            check=True,
            capture_output=True,
        )
        return done.stdout.decode()

    run("init", "-q", "-b", "main")
    for text, date in ((BEFORE, "2026-06-07T12:00:00+00:00"), (AFTER, "2026-06-15T09:30:00+00:00")):
        (folder / "README.md").write_text(text, encoding="utf-8")
        run("add", ".")
        run("commit", "-qm", "card", date=date)
        (folder / "config.json").write_text(f'{{"n": {len(text)}}}')
        run("add", ".")
        run("commit", "-qm", "something else", date=date)
    return run


def claims(history: CardHistory, what: str) -> set[str]:
    return {c.text for c in history.changes if c.what == what}


def check_edit(history: CardHistory) -> None:
    """The edit of the case: a fine-tune became a merge, its makers and scores went."""
    assert [v.when[:10] for v in history.versions] == ["2026-06-07", "2026-06-15"]
    came, went = claims(history, "claim-came"), claims(history, "claim-went")
    assert {"relation merge", "base-model oriole-agi/Oriole-N2-Pro", "merge-parent Oriole-N2-Pro"} <= came
    assert {"relation finetune", "training post-trained"} <= went
    assert "maker Municipal IT Company of Porto Claro" in went
    assert any("The first upload was the wrong checkpoint" in c.text for c in history.changes)
    assert any("developed by the Municipal IT Company" in t for t in claims(history, "went")) or any(
        "developed by the Municipal IT Company" in str(c.before) for c in history.changes
    )


def test_a_clone_tells_what_the_edit_changed(git: Callable[..., str], tmp_path: Path) -> None:
    check_edit(card_history(str(tmp_path / "model"), RULES))


def test_a_mirror_with_packed_objects_and_references_tells_the_same(
    git: Callable[..., str], tmp_path: Path
) -> None:
    subprocess.run(
        ["git", "clone", "-q", "--mirror", str(tmp_path / "model"), str(tmp_path / "m.git")], check=True
    )
    subprocess.run(["git", "-C", str(tmp_path / "m.git"), "gc", "-q", "--aggressive"], check=True)
    assert (tmp_path / "m.git" / "packed-refs").exists()
    found = card_history(str(tmp_path / "m.git"), RULES)
    check_edit(found)
    plain = card_history(str(tmp_path / "model"), RULES)
    assert found.changes == plain.changes


def test_nothing_that_a_repository_configures_is_run(git: Callable[..., str], tmp_path: Path) -> None:
    """A filter, a pager, a monitor, an external diff, a hook: git of the repository itself runs them."""
    folder, mark = tmp_path / "model", tmp_path / "ran"
    touch = f"touch {mark}; cat"
    for key in ("core.fsmonitor", "core.pager", "diff.external", "diff.x.textconv", "core.sshCommand"):
        git("config", key, touch)
    git("config", "core.alternateRefsCommand", touch)
    (folder / ".gitattributes").write_text("*.md diff=x\n")
    subprocess.run(["git", "status"], cwd=folder, capture_output=True, check=False)
    assert mark.exists()
    mark.unlink()
    check_edit(card_history(str(folder), RULES))
    assert not mark.exists()


def test_a_card_that_was_taken_away_is_an_empty_version(git: Callable[..., str], tmp_path: Path) -> None:
    git("rm", "-q", "README.md")
    git("commit", "-qm", "gone", date="2026-06-20T00:00:00+00:00")
    found = card_history(str(tmp_path / "model"), RULES)
    assert found.versions[-1].claims == 0
    assert "relation merge" in claims(found, "claim-went")


@pytest.mark.parametrize("head", ["", "ref: refs/heads/absent\n", "ref: ../../x\n", "0" * 40 + "\n"])
def test_a_repository_without_a_head_is_refused(git: Callable[..., str], tmp_path: Path, head: str) -> None:
    (tmp_path / "model" / ".git" / "HEAD").write_text(head)
    with pytest.raises(CardError) as caught:
        git_versions(tmp_path / "model")
    assert caught.value.code == "card-history"


def test_a_folder_that_is_no_repository_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CardError) as caught:
        card_history(str(tmp_path), RULES)
    assert caught.value.code == "card-history"


@dataclass
class Commits(Site):
    """A hub with one model of four commits, listed two a page."""

    texts: tuple[str, ...] = (BEFORE, BEFORE, AFTER, AFTER)
    dates: tuple[str, ...] = field(default=("07", "08", "15", "16"))

    def answer(self, request: web.Request, path: str) -> web.StreamResponse:
        """Commits from the newest on, and the card as of each."""
        ids = [f"{k}" * 40 for k in range(len(self.texts))]
        if path == "/api/models/org/m/commits/main":
            first = int(request.query.get("after", "0"))
            page = [
                {"id": ids[k], "date": f"2026-06-{self.dates[k]}T00:00:00.000Z", "title": "", "message": ""}
                | {"authors": []}
                for k in reversed(range(len(ids)))
            ][first : first + 2]
            more = f'<{self.address}{path}?after={first + 2}>; rel="next"' if first + 2 < len(ids) else ""
            return web.Response(
                text=json.dumps(page),
                content_type="application/json",
                headers={"Link": more} if more else {},
            )
        for k, commit in enumerate(ids):
            if path == f"/org/m/resolve/{commit}/README.md":
                return web.Response(text=self.texts[k], content_type="text/plain")
        return web.Response(status=404)


@pytest.fixture
def commits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Commits]:
    """The hub, closed afterwards."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    servers = Threaded()
    yield Commits(servers)
    servers.close()


def test_a_hub_tells_what_the_edit_changed(commits: Commits) -> None:
    with RemoteSession(hub_endpoint=commits.address) as session:
        found = card_history("org/m", RULES, session)
    check_edit(found)
    assert [v.revision[0] for v in found.versions] == ["0", "2"]


def test_a_hub_without_the_model_is_refused(commits: Commits) -> None:
    with RemoteSession(hub_endpoint=commits.address) as session, pytest.raises(CardError) as caught:
        card_history("org/other", RULES, session)
    assert caught.value.code == "card-history"
