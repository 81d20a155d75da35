"""Object stores, against moto's S3 server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from parentage.checkpoints.opening import open_checkpoint
from parentage.checkpoints.remote.remote_session import RemoteSession
from parentage.errors import ParentageError, ReadError
from tests.checkpoints.remote.models import arrays, files_of
from tests.checkpoints.remote.test_web import check_all

pytest.importorskip("obstore", reason="the extra object-store is not installed")
server = pytest.importorskip("moto.server", reason="moto is not installed")
Make = Callable[..., RemoteSession]
SHARD = "model-00002-of-00004.safetensors"


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def put(moto: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, bytes], None]:
    """Put an object into the bucket; credentials are in the environment."""
    from obstore.store import S3Store

    for name, value in {
        "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": moto, "AWS_ALLOW_HTTP": "true",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    import urllib.request

    request = urllib.request.Request(f"{moto}/bucket", method="PUT")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    opener.open(request).close()
    store = S3Store("bucket")

    def put(name: str, data: bytes) -> None:
        store.put(name, data)

    for name, data in files_of(arrays()).items():
        put(f"models/tiny/{name}", data)
    return put


def test_a_model_in_a_bucket_is_read_whole_and_right(put: object, session: Make) -> None:
    shared = session()
    with open_checkpoint("s3://bucket/models/tiny", session=shared) as checkpoint:
        assert checkpoint.config == {"architectures": ["Tiny"]}
        assert checkpoint.read_text("README.md").startswith("---")
        check_all(checkpoint, arrays())
        assert checkpoint.oddities == ()
        assert shared.requests >= 1 + 1 + 1 + 4
        assert shared.bytes_read >= sum(s.size for s in checkpoint.shards) - 4 * 512


def test_one_object_is_opened_by_its_name(put: object, session: Make) -> None:
    with open_checkpoint(f"s3://bucket/models/tiny/{SHARD}", session=session()) as checkpoint:
        assert list(checkpoint.tensors) == ["layers.1.n", "layers.1.w"]


def test_an_object_that_changes_is_noticed(put: Callable[[str, bytes], None], session: Make) -> None:
    with open_checkpoint("s3://bucket/models/tiny", session=session()) as checkpoint:
        put(f"models/tiny/{SHARD}", bytes(len(files_of(arrays())[SHARD])))
        with pytest.raises(ReadError) as caught:
            checkpoint.read("layers.1.w", 15_000, 10)
    assert caught.value.code == "read-changed"


@pytest.mark.parametrize(
    ("locator", "code"),
    [
        ("s3://bucket/absent", "no-weights"),
        ("s3://bucket/models/tiny/absent.safetensors", "remote-absent"),
        ("s3://no-such-bucket/m", "remote-absent"),
    ],
)
def test_what_is_not_there_is_said(locator: str, code: str, put: object, session: Make) -> None:
    with pytest.raises(ParentageError) as caught, open_checkpoint(locator, session=session()):
        pass
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    assert "hush" not in str(caught.value)


def test_a_budget_holds_for_objects(put: object, session: Make) -> None:
    with pytest.raises(ReadError) as caught:
        open_checkpoint("s3://bucket/models/tiny", session=session(budget_requests=3))
    assert caught.value.code == "budget-spent"


def test_a_store_that_does_not_answer_is_unreachable(
    put: object, session: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(ParentageError) as caught:
        open_checkpoint("s3://bucket/models/tiny", session=session())
    assert caught.value.code == "remote-unreachable"


def test_without_obstore_it_is_said_what_to_install(session: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    with pytest.raises(ParentageError) as caught:
        open_checkpoint("gs://bucket/m", session=session())
    assert caught.value.code == "usage-extra"
    assert "parentage[object-store]" in caught.value.hint
