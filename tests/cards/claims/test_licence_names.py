"""Licence files under all their usual names, wherever a model lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from parentage.cards.claims.licences import MOST_TEXT
from parentage.cards.claims.places import MOST_LICENCES, find_card
from parentage.checkpoints.licence_names import USUAL_LICENCES, is_licence_file
from parentage.checkpoints.remote.costs import WITHOUT_LISTING
from parentage.checkpoints.remote.http_place import ASKED_FOR
from parentage.checkpoints.remote.remote_session import RemoteSession
from tests.checkpoints.remote.models import arrays, files_of
from tests.checkpoints.remote.servers import Hub, Site, Threaded
from tests.cli.running import Run

NAMES = (
    "LICENSE", "license", "LICENSE.md", "License.txt", "LICENSE-MODEL", "LICENSE.apache-2.0",
    "license_en.rst",
    "LICENCE", "LICENCE.txt", "COPYING", "COPYING.LESSER", "NOTICE", "Notice.txt", "NOTICE.md", "UNLICENSE",
    "USE_POLICY.md", "Use-Policy.txt", "TERMS", "TERMS_OF_USE.md", "terms-of-service.txt", "MODEL_LICENSE",
    "Third-Party-Licenses.txt",
)  # fmt: skip
OTHERS = (
    "license.py", "LICENSE.pdf", "terms.json", "license-model.safetensors", "notice.png", "README.md",
    "unnoticed", "my_terms_of_art.md", "copyingmachine.txt", "policy.md", "", "x" * 5_000, "-" * 5_000,
)  # fmt: skip
LLAMA = "LLAMA 3.1 COMMUNITY LICENSE AGREEMENT\nLlama 3.1 Version Release Date: July 23, 2024\n"


@pytest.mark.parametrize("name", NAMES)
def test_a_usual_name_of_a_licence_is_one_in_any_case(name: str) -> None:
    assert is_licence_file(name)
    assert is_licence_file(name.upper())


@pytest.mark.parametrize("name", OTHERS, ids=range(len(OTHERS)))
def test_code_pictures_and_weights_are_no_licences_whatever_they_are_called(name: str) -> None:
    assert not is_licence_file(name)


@pytest.fixture
def threaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Threaded]:
    monkeypatch.setenv("NO_PROXY", "*")
    servers = Threaded()
    yield servers
    servers.close()


def _files(**more: bytes) -> dict[str, bytes]:
    return {**files_of(arrays(shards=1, rows=4), shards=1), **more}


def _licences(locator: str, session: RemoteSession | None = None) -> dict[str, str]:
    return {f.name: f.text for f in find_card(locator, session).licences}


@pytest.mark.parametrize("weights", [True, False])
def test_every_usual_name_is_read_in_a_folder_with_weights_and_without(
    tmp_path: Path, weights: bool
) -> None:
    for name, data in _files().items():
        if weights or name == "README.md":
            (tmp_path / name).write_bytes(data)
    for name in NAMES[:MOST_LICENCES]:
        (tmp_path / name).write_text(LLAMA)
    (tmp_path / "license.py").write_text("raise SystemExit")
    assert set(_licences(str(tmp_path))) == set(NAMES[:MOST_LICENCES])


def test_a_hub_tells_licences_in_its_listing_and_each_that_is_there_is_one_request(
    threaded: Threaded,
) -> None:
    hub = Hub(threaded, _files())
    hub.add({"use_policy.md": b"Be fair.", "Notice.txt": LLAMA.encode(), "sub/LICENSE": b"MIT"})
    with RemoteSession(hub_endpoint=hub.address) as session:
        assert _licences("hf://org/model", session) == {"Notice.txt": LLAMA, "use_policy.md": "Be fair."}
    asked = [a.path.rpartition("/")[2] for a in hub.asked if is_licence_file(a.path.rpartition("/")[2])]
    assert sorted(asked) == ["Notice.txt", "use_policy.md"]


def test_a_web_folder_lists_nothing_and_is_asked_for_a_short_list_of_names(threaded: Threaded) -> None:
    there = {"Notice.txt": LLAMA.encode(), "USE_POLICY.md": b"Be fair.", "LICENSE-OTHER": b"MIT"}
    site = Site(threaded, {f"/m/{n}": data for n, data in _files(**there).items()})
    with RemoteSession() as session:
        assert set(_licences(f"{site.address}/m", session)) == {"Notice.txt", "USE_POLICY.md"}
    asked = {a.path.rpartition("/")[2] for a in site.asked}
    assert set(USUAL_LICENCES) < asked
    assert 1 + len(ASKED_FOR) == WITHOUT_LISTING
    assert len(USUAL_LICENCES) <= 8


def test_what_is_long_is_cut_and_what_is_many_is_left_with_a_word_of_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: llama3.1\n---\n# Finch\n")
    for k in range(MOST_LICENCES + 3):
        (tmp_path / f"LICENSE-{k:03}").write_text("x" * (2 * MOST_TEXT))
    (tmp_path / "LICENSE").write_text(LLAMA)
    found = find_card(str(tmp_path))
    assert len(found.licences) == MOST_LICENCES
    assert {len(f.text) for f in found.licences[1:]} == {MOST_TEXT}
    out = run("card", tmp_path).out
    assert f"only {MOST_LICENCES} of {MOST_LICENCES + 4} licence files beside the card were read" in out
    assert "LICENSE beside the card is the text of that licence" in out
    assert "LICENSE-000" in out
    assert "of no one licence whose text is known" in out
