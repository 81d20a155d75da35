"""Merges of models that lie on a hub, on a web server or in a bucket, and proofs without a download."""

from __future__ import annotations

import hashlib
import json
import logging
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from parentage import api
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.checkpoints.remote.retries import RetryPolicy
from parentage.errors import ReadError, UsageError
from parentage.records.absence import Absent
from parentage.records.merge import MergeRecord
from tests.checkpoints.remote.servers import COMMIT, Hubs, Site
from tests.cli.conftest import hubs, site
from tests.cli.networks import NO_PROXY
from tests.cli.running import Run
from tests.merging.models import llama, recipe_file, write_model
from tests.merging.test_merge import linear

__all__ = ["hubs", "site"]

QUICK = RetryPolicy(attempts=2, first=0.01, longest=0.02, patience=1.0, timeout=2.0)
CARD = b"---\nlicense: apache-2.0\n---\n# A\n"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models in two files each, and a merge of them made from this disk, one file a tensor."""
    folder = tmp_path_factory.mktemp("local")
    for name, seed in (("a", 1), ("b", 2)):
        write_model(folder / name, llama(seed), shards=2)
    (folder / "a" / "README.md").write_bytes(CARD)
    path = recipe_file(folder, linear((folder / "a", 0.6), (folder / "b", 0.4)))
    api.merge(path, folder / "merge", api.MergeOptions(shard_bytes=100))
    return folder


def files_in(folder: Path) -> dict[str, bytes]:
    """By name."""
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def models(local: Path) -> dict[str, bytes]:
    """What the fixture of hubs puts there first; replaced by what these tests need."""
    data = (local / "a" / "model-00001-of-00002.safetensors").read_bytes()
    return dict.fromkeys(("a", "b", "other"), data)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    """The site begins empty."""
    return {}


@pytest.fixture
def parents(hubs: Hubs, local: Path) -> Hubs:
    """Both parents on a hub."""
    for name in ("a", "b"):
        hubs.add(f"org/{name}", files_in(local / name))
    return hubs


def weights(folder: Path) -> dict[str, bytes]:
    """The data of every weight file, without its header."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        raw = path.read_bytes()
        found[path.name] = raw[8 + int.from_bytes(raw[:8], "little") :]
    return found


def merged(folder: Path, first: str, second: str, **options: Any) -> MergeRecord:
    """A merge of models anywhere."""
    recipe = linear((Path("x"), 0.6), (Path("y"), 0.4))
    for entry, place in zip(recipe["models"], (first, second), strict=True):
        entry["model"] = place
    path = recipe_file(folder, recipe)
    return api.merge(path, folder / "out", api.MergeOptions(shard_bytes=100, **options))


def test_parents_on_a_hub_are_pinned_by_commit_and_digest_and_give_the_same_bits(
    parents: Hubs, local: Path, tmp_path: Path
) -> None:
    record = merged(tmp_path, "org/a@main", "hf://org/b")
    assert weights(tmp_path / "out") == weights(local / "merge")
    assert [p.revision for p in record.parents] == [COMMIT, COMMIT]
    assert [p.id for p in record.parents] == ["org/a", "org/b"]
    assert record.parents[0].licence == "apache-2.0"
    for parent, name in zip(record.parents, "ab", strict=True):
        assert {f.name: f.sha256 for f in parent.files} == {
            p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in (local / name).glob("*.safetensors")
        }
    front = (tmp_path / "out" / "README.md").read_text().split("---\n")[1]
    assert "- org/a\n- org/b\n" in front
    raw = (tmp_path / "out" / "model-00001-of-00012.safetensors").read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert [p["revision"] for p in json.loads(metadata["parentage.parents"])] == [COMMIT, COMMIT]


def test_parents_on_a_web_server_give_the_same_bits_and_are_said_not_to_be_hashed(
    site: Site, local: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        site.files |= {f"/{name}/{n}": data for n, data in files_in(local / name).items()}
    record = merged(tmp_path, f"{site.address}/a/", f"{site.address}/b/")
    assert weights(tmp_path / "out") == weights(local / "merge")
    assert all(isinstance(f.sha256, Absent) for p in record.parents for f in p.files)
    assert "not hashed" in (tmp_path / "out" / "README.md").read_text()


@pytest.fixture
def bucket(local: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both parents in a bucket of a real S3 server on loopback."""
    pytest.importorskip("obstore", reason="the extra object-store is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    from obstore.store import S3Store

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ALLOW_HTTP": "true", **NO_PROXY,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    request = urllib.request.Request(f"http://{host}:{port}/bucket", method="PUT")
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()
    store = S3Store("bucket")
    for model in ("a", "b"):
        for name, data in files_in(local / model).items():
            store.put(f"models/{model}/{name}", data)
    yield "s3://bucket/models"
    running.stop()


def test_parents_in_a_bucket_give_the_same_bits(bucket: str, local: Path, tmp_path: Path) -> None:
    merged(tmp_path, f"{bucket}/a", f"{bucket}/b")
    assert weights(tmp_path / "out") == weights(local / "merge")


def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that fails is given up soon."""
    made = RemoteSession.__init__

    def quick(self: RemoteSession, *args: Any, **options: Any) -> None:
        made(self, *args, **{"retries": QUICK, **options})

    monkeypatch.setattr(RemoteSession, "__init__", quick)


def test_a_merge_whose_network_failed_goes_on_with_the_same_command(
    site: Site, local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch)
    for name in ("a", "b"):
        site.files |= {f"/{name}/{n}": data for n, data in files_in(local / name).items()}
    shards = large(site, tmp_path)
    first, second = f"{site.address}/c/", f"{site.address}/d/"

    async def dies(request: web.Request, number: int) -> web.StreamResponse | None:
        late = any(f"/{m}/{shards[-1]}" == request.path for m in "cd") and "Range" in request.headers
        begin = int(request.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        return web.Response(status=503) if late and begin > 0 else None

    site.fault = dies
    with pytest.raises(ReadError):
        merged(tmp_path, first, second)
    assert not (tmp_path / "out").exists()
    partial = tmp_path / "out.partial"
    kept = {p.name: p.stat().st_mtime_ns for p in partial.glob("*.safetensors")}
    assert 1 <= len(kept) < len(shards)
    site.fault = None
    merged(tmp_path, first, second)
    made = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.safetensors")}
    assert kept.items() <= made.items()
    path = recipe_file(tmp_path / "here", linear((tmp_path / "c", 0.6), (tmp_path / "d", 0.4)))
    api.merge(path, tmp_path / "here" / "out", api.MergeOptions(shard_bytes=100))
    assert weights(tmp_path / "out") == weights(tmp_path / "here" / "out")


def large(site: Site, folder: Path) -> list[str]:
    """Two models of four files, more than is fetched with a header; their names."""
    import numpy as np

    for name, seed in (("c", 3), ("d", 4)):
        rng = np.random.default_rng(seed)
        tensors = {f"w{k}": rng.normal(0, 0.02, (256, 512)).astype(np.float32) for k in range(4)}
        write_model(folder / name, tensors, shards=4)
        site.files |= {f"/{name}/{n}": data for n, data in files_in(folder / name).items()}
    return sorted(p.name for p in (folder / "c").glob("*.safetensors"))


def test_what_changed_on_a_server_meanwhile_is_not_gone_on_with(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No digest is published; the server's ETags tell."""
    impatient(monkeypatch)
    shards = large(site, tmp_path)
    first, second = f"{site.address}/c/", f"{site.address}/d/"

    async def dies(request: web.Request, number: int) -> web.StreamResponse | None:
        begin = int(request.headers.get("Range", "bytes=0-").split("=")[1].split("-")[0])
        return web.Response(status=503) if request.path.endswith(shards[-1]) and begin > 0 else None

    site.fault = dies
    with pytest.raises(ReadError):
        merged(tmp_path, first, second)
    site.fault = None
    raw = bytearray(site.files[f"/c/{shards[0]}"])
    raw[-1] ^= 1
    site.files[f"/c/{shards[0]}"] = bytes(raw)
    with pytest.raises(UsageError) as raised:
        merged(tmp_path, first, second)
    assert raised.value.code == "merge-other-run"


@pytest.fixture
def published(parents: Hubs, local: Path, tmp_path: Path) -> Path:
    """A merge of the hub's models, uploaded there; its recipe."""
    merged(tmp_path, "org/a", "org/b")
    parents.add("org/merge", files_in(tmp_path / "out"))
    return tmp_path / "recipe.yaml"


def bytes_of_weights(hub: Hubs, repository: str) -> int:
    """How many bytes of a repository's weight files were asked for."""
    ranges = [a.range for a in hub.repositories[repository].storage.gets]
    return sum(last - first + 1 for r in ranges if r is not None for first, last in [r])


def test_a_merge_on_a_hub_is_proven_by_its_digests_without_its_weights(
    published: Path, parents: Hubs, run: Run
) -> None:
    done = run("replay", published, "org/merge", "--by-digest", "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    assert found["holds"]
    assert all(f["published"] and f["rebuilt"] == f["found"] for f in found["files"])
    assert len(found["files"]) == 12
    assert found["revision"] == COMMIT
    assert all("absent" in t["matches"] for t in found["tensors"])


def test_one_bit_in_a_file_on_a_hub_is_seen_by_its_digest_alone(
    published: Path, parents: Hubs, run: Run, tmp_path: Path
) -> None:
    spoilt = files_in(tmp_path / "out")
    name = "model-00003-of-00012.safetensors"
    spoilt[name] = spoilt[name][:-1] + bytes([spoilt[name][-1] ^ 1])
    parents.add("org/spoilt", spoilt)
    done = run("replay", published, "org/spoilt", "--by-digest", "--json")
    assert (done.code, done.error) == (5, "replay-differs")
    unlike = [f["name"] for f in json.loads(done.out)["files"] if f["rebuilt"] != f["found"]]
    assert unlike == [name]


def test_a_suspect_of_any_size_costs_its_headers_only(parents: Hubs, run: Run, tmp_path: Path) -> None:
    """Files of 2 MB: what is asked for of the suspect is the bound on a first look at each, not more."""
    import numpy as np

    rng = np.random.default_rng(7)
    for name in ("c", "d"):
        tensors = {f"w{k}": rng.normal(0, 0.02, (1024, 1024)).astype(np.float32) for k in range(2)}
        write_model(tmp_path / name, tensors)
    path = recipe_file(tmp_path, linear((tmp_path / "c", 0.5), (tmp_path / "d", 0.5)))
    api.merge(path, tmp_path / "out")
    parents.add("org/large", files_in(tmp_path / "out"))
    assert run("replay", path, "org/large", "--by-digest").code == 0
    size = (tmp_path / "out" / "model.safetensors").stat().st_size
    assert size > 4 * 2**20
    assert 0 < bytes_of_weights(parents, "org/large") <= 128 * 2**10
