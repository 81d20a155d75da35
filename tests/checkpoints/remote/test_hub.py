"""A hub: one listing, one resolve a file, ranges from the storage host, which never sees the token."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import parentage
from parentage.checkpoints.locators import HubModel, PlaceKind, at_revision, hub_model, place_kind
from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.errors import UsageError
from tests.checkpoints.remote.models import arrays
from tests.checkpoints.remote.servers import COMMIT, SECRET, Hub
from tests.checkpoints.remote.test_web import check_all

Make = Callable[..., RemoteSession]


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.mark.parametrize(
    "locator", ["hf://org/model", "org/model", "hf://org/model@main", f"org/model@{COMMIT}"]
)
def test_a_model_is_pinned_to_its_commit(locator: str, hub: Hub, session: Make) -> None:
    with open_checkpoint(locator, session=session(hub_endpoint=hub.address)) as checkpoint:
        assert checkpoint.revision == COMMIT
        assert checkpoint.locator == locator
        check_all(checkpoint, arrays())
        for shard in checkpoint.shards:
            assert shard.published_sha256 == hashlib.sha256(hub.files[shard.name]).hexdigest()
    resolved = [a.path for a in hub.asked if "/resolve/" in a.path]
    assert resolved
    assert all(f"/resolve/{COMMIT}/" in path for path in resolved)


def test_a_revision_with_a_slash_is_asked_for(hub: Hub, session: Make) -> None:
    with open_checkpoint(
        "hf://org/model@refs/pr/7", session=session(hub_endpoint=hub.address)
    ) as checkpoint:
        assert checkpoint.revision == COMMIT


def test_one_listing_one_resolve_a_file_and_ranges_from_storage(hub: Hub, session: Make) -> None:
    shared = session(hub_endpoint=hub.address)
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        listings = [a for a in hub.asked if a.path.startswith("/api/")]
        assert len(listings) == 1
        # Four shards; index and config are kept by the hub itself and take no redirect.
        assert len(hub.asked) == 1 + 4 + 2
        assert len(hub.storage.asked) == 4
        check_all(checkpoint, arrays())
        assert len([a for a in hub.asked if a.path.endswith(".safetensors")]) == 4
        assert shared.resolves == 4
        assert shared.requests == len(hub.asked) + len(hub.storage.asked)


def test_side_files_are_listed_with_their_sizes(hub: Hub, session: Make) -> None:
    hub.add({"tokenizer.json": b"{}", "notes.bin": b"?", "sub/config.json": b"{}"})
    with open_checkpoint("hf://org/model", session=session(hub_endpoint=hub.address)) as checkpoint:
        assert dict(checkpoint.folder.side_files) == {
            n: len(hub.files[n]) for n in ("README.md", "config.json", "tokenizer.json")
        }
        assert checkpoint.folder.read_side_file("README.md", 3) == b"---"


def test_a_private_model_is_read_with_a_token_that_storage_never_sees(hub: Hub, session: Make) -> None:
    hub.private = True
    shared = session(hub_endpoint=hub.address, hub_token=SECRET)
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        check_all(checkpoint, arrays())
    assert all(a.headers["Authorization"] == f"Bearer {SECRET}" for a in hub.asked)
    assert hub.storage.asked
    assert not any("Authorization" in a.headers for a in hub.storage.asked)


def test_a_location_that_expires_is_asked_for_again_once(hub: Hub, session: Make) -> None:
    shared = session(hub_endpoint=hub.address)
    with open_checkpoint("hf://org/model", session=shared) as checkpoint:
        hub.signature = 2  # all locations are void now
        check_all(checkpoint, arrays())
    assert shared.resolves == 8


def test_a_hub_whose_information_lacks_sizes_is_asked_for_its_tree(hub: Hub, session: Make) -> None:
    hub.sizes_in_info = False
    with open_checkpoint("hf://org/model", session=session(hub_endpoint=hub.address)) as checkpoint:
        check_all(checkpoint, arrays())
        assert checkpoint.shards[0].published_sha256


def test_a_file_and_a_folder_of_a_model_are_named_by_path(hub: Hub, session: Make) -> None:
    name = "model-00003-of-00004.safetensors"
    hub.add({f"sub/{n}": data for n, data in hub.files.items() if n != "config.json"})
    shared = session(hub_endpoint=hub.address)
    with open_checkpoint(f"hf://org/model@main/{name}", session=shared) as checkpoint:
        assert list(checkpoint.tensors) == ["layers.2.n", "layers.2.w"]
    with open_checkpoint("hf://org/model/sub", session=shared) as checkpoint:
        check_all(checkpoint, arrays())
        assert checkpoint.config is None


def test_what_huggingface_hub_has_downloaded_is_read_from_its_cache(
    hub: Hub, session: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import snapshot_download

    folder = tmp_path / "hub"
    snapshot_download("org/model", endpoint=hub.address, cache_dir=folder, allow_patterns="*2-of*")
    # What the library fetched by itself shows that our small hub speaks as the real one does.
    assert list(folder.rglob("model-00002-of-00004.safetensors"))
    hub.asked.clear()
    with open_checkpoint("hf://org/model", session=session(hub_endpoint=hub.address)) as checkpoint:
        check_all(checkpoint, arrays())
        assert all(s.published_sha256 for s in checkpoint.shards)
    assert not [a for a in hub.asked if "00002-of" in a.path]
    assert [a for a in hub.asked if "00001-of" in a.path]


def test_endpoint_token_and_offline_mode_are_those_of_huggingface_hub(hub: Hub, tmp_path: Path) -> None:
    hub.private = True
    code = (
        "from parentage.checkpoints.opening import open_checkpoint\n"
        "with open_checkpoint('hf://org/model') as c: print(c.revision, len(c.tensors))\n"
    )
    source = str(Path(parentage.__file__).parents[1])
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    env = clean | {
        "PYTHONPATH": source, "HF_ENDPOINT": hub.address, "HF_TOKEN": SECRET, "HF_HOME": str(tmp_path),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == [COMMIT, "8"], done.stderr
    asked = len(hub.asked)
    env["HF_HUB_OFFLINE"] = "1"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert "remote-offline" in done.stderr
    assert len(hub.asked) == asked


def test_offline_a_downloaded_model_is_found(
    hub: Hub, session: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import snapshot_download

    snapshot_download("org/model", endpoint=hub.address, cache_dir=tmp_path / "hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.asked.clear()
    with open_checkpoint("hf://org/model", session=session()) as checkpoint:
        assert checkpoint.revision == COMMIT
        assert checkpoint.locator == "hf://org/model"
        check_all(checkpoint, arrays())
    assert hub.asked == []


@pytest.mark.parametrize(
    ("locator", "expected"),
    [
        ("hf://a/b", HubModel("a/b", None, "")),
        ("a/b@v1.0", HubModel("a/b", "v1.0", "")),
        ("HF://a/b@refs/pr/12", HubModel("a/b", "refs/pr/12", "")),
        ("hf://a/b@refs/pr/12/c/d.gguf", HubModel("a/b", "refs/pr/12", "c/d.gguf")),
        ("hf://a/b@x%2Fy/c", HubModel("a/b", "x/y", "c")),
        ("hf://a/b/c/d.gguf", HubModel("a/b", None, "c/d.gguf")),
        ("hf://a/b/", HubModel("a/b", None, "")),
    ],
)
def test_a_locator_names_repository_revision_and_path(locator: str, expected: HubModel) -> None:
    assert hub_model(locator) == expected


@pytest.mark.parametrize(
    "locator",
    [
        "hf://a",
        "hf://",
        "hf://a/../b",
        "hf://a/b/../../c",
        "hf://a/b@",
        "hf://a/b@x y",
        "hf://../b",
        "hf://a/b/c@v",
    ],
)
def test_a_locator_that_names_no_model_is_refused(locator: str) -> None:
    with pytest.raises(UsageError) as caught:
        hub_model(locator)
    assert caught.value.code == "usage-locator"


def test_a_short_name_is_the_hubs_only_when_nothing_local_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_kind("org/model") is PlaceKind.HUB
    (tmp_path / "org").mkdir()
    assert place_kind("org/model") is PlaceKind.LOCAL
    assert place_kind("other/model.safetensors") is PlaceKind.LOCAL
    assert place_kind("a/b/c") is PlaceKind.LOCAL
    assert place_kind("./org/model") is PlaceKind.LOCAL
    assert place_kind("../org") is PlaceKind.LOCAL


@pytest.mark.parametrize(
    "locator", ["org/model@main", "hf://org/model/a/b.gguf", "hf://org/model@refs/pr/7/a"]
)
def test_the_locator_of_a_commit_names_the_same_path_in_it(locator: str) -> None:
    pinned, asked = hub_model(at_revision(locator, COMMIT)), hub_model(locator)
    assert (pinned.repository, pinned.path, pinned.revision) == (asked.repository, asked.path, COMMIT)
    assert at_revision("https://host/m", None) == "https://host/m"
    assert at_revision("./models/snapshots/x", COMMIT) == "./models/snapshots/x"
