"""Signatures: made in model-signing's format, and checked file by file; keys are never shown."""

from __future__ import annotations

import base64
import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from parentage import labels
from parentage.errors import UsageError
from parentage.records.merge import MergeRecord
from tests.cards.labelled import changed_json, copy_of, flip
from tests.cli.running import Run
from tests.worlds.fixtures import FOLDER

pytest.importorskip("cryptography")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SIGNED = FOLDER / "signing" / "merge"
PUBLIC = FOLDER / "signing" / "public.pem"
PEM = serialization.Encoding.PEM
PRIVATE_FORM = serialization.PrivateFormat.PKCS8
PUBLIC_FORM = serialization.PublicFormat.SubjectPublicKeyInfo
PASSWORD = b"a long password"


@dataclass(frozen=True)
class Pair:
    """Files of one pair of keys."""

    private: Path
    public: Path


def pair(folder: Path, key: Any = None, *, password: bytes | None = None) -> Pair:
    """A new pair of P-256 unless a key is given."""
    made = key or ec.generate_private_key(ec.SECP256R1())
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    folder.mkdir(parents=True, exist_ok=True)
    found = Pair(folder / "key.pem", folder / "public.pem")
    found.private.write_bytes(made.private_bytes(PEM, PRIVATE_FORM, lock))
    found.private.chmod(0o600)
    found.public.write_bytes(made.public_key().public_bytes(PEM, PUBLIC_FORM))
    return found


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """One pair for all."""
    return pair(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def signed(
    tmp_path_factory: pytest.TempPathFactory, labelled: tuple[Path, MergeRecord], keys: Pair
) -> Path:
    """The labelled merge made again, signed; not to be changed."""
    out = tmp_path_factory.mktemp("signed") / "out"
    options = labels.MergeOptions(shard_bytes=1500, signer=labels.load_signer(keys.private))
    from parentage import api

    api.merge(labelled[0].parent / "recipe.yaml", out, options)
    return out


def found_codes(run: Run, folder: Path, key: Path) -> dict[str, list[str]]:
    """Mismatches by file, of a check that must end with 5."""
    done = run("label", "verify", folder, "--key", key, "--json")
    assert done.code == 5
    listed = json.loads(done.out)["mismatches"]
    assert done.error == listed[0]["code"]
    found: dict[str, list[str]] = {}
    for one in listed:
        found.setdefault(one["file"], []).append(one["code"])
    return found


def test_a_signed_merge_holds_under_its_key_and_the_limits_are_said(
    signed: Path, keys: Pair, run: Run
) -> None:
    done = run("label", "verify", signed, "--key", keys.public)
    assert (done.code, done.err) == (0, "")
    assert "signed, validly, with the key" in done.out
    assert "does not show who that is" in done.out
    unasked = run("label", "verify", signed)
    assert unasked.code == 0
    assert "model.sig was not looked at" in unasked.out
    assert "validly" not in unasked.out


def test_the_bundle_is_model_signings(signed: Path) -> None:
    bundle = json.loads((signed / "model.sig").read_text())
    theirs = json.loads((SIGNED / "model.sig").read_text())

    def layout(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: layout(v) for k, v in sorted(value.items())}
        return [layout(v) for v in value[:1]] if isinstance(value, list) else type(value).__name__

    def statement(table: dict[str, Any]) -> Any:
        return json.loads(base64.b64decode(table["dsseEnvelope"]["payload"]))

    assert layout(bundle) == layout(theirs)
    assert layout(statement(bundle)) == layout(statement(theirs))
    listed = [r["name"] for r in statement(bundle)["predicate"]["resources"]]
    assert set(listed) == {p.name for p in signed.iterdir()} - {"model.sig"}


def test_what_model_signing_signed_holds_here(run: Run) -> None:
    done = run("label", "verify", SIGNED, "--key", PUBLIC)
    assert (done.code, done.err) == (0, "")
    assert "signed, validly" in done.out


@pytest.mark.skipif(
    importlib.util.find_spec("model_signing") is None or importlib.util.find_spec("OpenSSL") is None,
    reason="model-signing, with pyOpenSSL beside it, is not installed",
)
def test_model_signing_accepts_what_is_signed_here_and_refuses_it_changed(
    signed: Path, keys: Pair, tmp_path: Path
) -> None:
    from model_signing import verifying

    out = copy_of(signed, tmp_path)
    check = verifying.Config().use_elliptic_key_verifier(public_key=keys.public)
    check.verify(out, out / "model.sig")
    flip(out / "model-00001-of-00002.safetensors")
    with pytest.raises(ValueError, match="Hash mismatch"):
        check.verify(out, out / "model.sig")


def test_a_signature_by_another_key_is_told_from_a_tampered_one(
    signed: Path, keys: Pair, run: Run, tmp_path: Path
) -> None:
    other = pair(tmp_path / "other")
    assert found_codes(run, signed, other.public) == {"model.sig": ["signature-other-key"]}
    out = copy_of(signed, tmp_path)
    changed_json(out / "model.sig", lambda t: t["verificationMaterial"]["publicKey"].pop("hint"))
    # Without the hint a foreign key is just a signature that does not hold.
    assert found_codes(run, out, other.public) == {"model.sig": ["signature-invalid"]}
    assert run("label", "verify", out, "--key", keys.public).code == 0


def payload_changed(table: dict[str, Any]) -> None:
    envelope = table["dsseEnvelope"]
    text = base64.b64decode(envelope["payload"]).replace(b'"out"', b'"own"')
    envelope["payload"] = base64.b64encode(text).decode()


def signature_changed(table: dict[str, Any]) -> None:
    (one,) = table["dsseEnvelope"]["signatures"]
    raw = bytearray(base64.b64decode(one["sig"]))
    raw[-1] ^= 1
    one["sig"] = base64.b64encode(raw).decode()


def certificate(table: dict[str, Any]) -> None:
    table["verificationMaterial"] = {"certificate": {"rawBytes": "AA=="}}


TAMPERED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "payload": (payload_changed, "signature-invalid"),
    "signature": (signature_changed, "signature-invalid"),
    "not-base64": (lambda t: t["dsseEnvelope"].update(payload="*"), "signature-malformed"),
    "no-signature": (lambda t: t["dsseEnvelope"].update(signatures=[]), "signature-malformed"),
    "two-signatures": (
        lambda t: t["dsseEnvelope"].update(signatures=t["dsseEnvelope"]["signatures"] * 2),
        "signature-malformed",
    ),
    "no-statement": (lambda t: t["dsseEnvelope"].update(payloadType="text"), "signature-malformed"),
    "other-media": (lambda t: t.update(mediaType="x"), "signature-malformed"),
    "no-envelope": (lambda t: t.pop("dsseEnvelope"), "signature-malformed"),
    "certificate": (certificate, "signature-unsupported"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_tampered_bundle_is_refused(how: str, signed: Path, keys: Pair, run: Run, tmp_path: Path) -> None:
    change, code = TAMPERED[how]
    out = copy_of(signed, tmp_path)
    changed_json(out / "model.sig", change)
    assert found_codes(run, out, keys.public) == {"model.sig": [code]}


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff", b"{" * 10_000, b'{"a": 1, "a": 2}'])
def test_a_bundle_that_is_none_is_refused(
    data: bytes, signed: Path, keys: Pair, run: Run, tmp_path: Path
) -> None:
    out = copy_of(signed, tmp_path)
    (out / "model.sig").write_bytes(data)
    assert found_codes(run, out, keys.public) == {"model.sig": ["signature-malformed"]}


SAID: dict[str, Callable[[dict[str, Any]], Any]] = {
    "root": lambda s: s["subject"][0]["digest"].update(sha256="0" * 64),
    "two-subjects": lambda s: s.update(subject=s["subject"] * 2),
    "kind": lambda s: s.update(predicateType="https://example.org"),
    "no-files": lambda s: s["predicate"].update(resources=[]),
    "twice": lambda s: s["predicate"]["resources"].append(s["predicate"]["resources"][0]),
    "elsewhere": lambda s: s["predicate"]["resources"][0].update(name="../../precious"),
    "not-hexadecimal": lambda s: s["predicate"]["resources"][0].update(digest="z" * 64),
    "other-algorithm": lambda s: s["predicate"]["resources"][0].update(algorithm="md5"),
}


@pytest.mark.parametrize("what", SAID)
def test_a_validly_signed_statement_that_makes_no_sense_is_refused(
    what: str, signed: Path, keys: Pair, run: Run, tmp_path: Path
) -> None:
    resign(signed, tmp_path, keys, SAID[what])
    assert found_codes(run, tmp_path / "merge", keys.public) == {"model.sig": ["signature-malformed"]}


def test_a_signature_over_parts_of_files_is_left_to_model_signing(
    signed: Path, keys: Pair, run: Run, tmp_path: Path
) -> None:
    resign(signed, tmp_path, keys, lambda s: s["predicate"]["serialization"].update(method="shards"))
    assert found_codes(run, tmp_path / "merge", keys.public) == {"model.sig": ["signature-unsupported"]}


def resign(signed: Path, place: Path, keys: Pair, change: Callable[[dict[str, Any]], Any]) -> None:
    """A copy whose statement was changed by who holds the key."""
    from parentage.cards.bundles import _pae

    out = copy_of(signed, place)
    table = json.loads((out / "model.sig").read_text())
    statement = json.loads(base64.b64decode(table["dsseEnvelope"]["payload"]))
    change(statement)
    payload = json.dumps(statement).encode()
    signature = labels.load_signer(keys.private).sign(_pae(payload))
    table["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    table["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    (out / "model.sig").write_text(json.dumps(table))


def test_what_a_signer_leaves_out_is_said(signed: Path, keys: Pair, run: Run, tmp_path: Path) -> None:
    resign(
        signed,
        tmp_path,
        keys,
        lambda s: s["predicate"]["serialization"]["ignore_paths"].append("modeling.py"),
    )
    (tmp_path / "merge" / "modeling.py").write_text("print()")
    done = run("label", "verify", tmp_path / "merge", "--key", keys.public)
    assert done.code == 0
    assert "left out modeling.py" in done.out


def test_changed_missing_and_extra_files_are_each_named(
    signed: Path, keys: Pair, run: Run, tmp_path: Path
) -> None:
    out = copy_of(signed, tmp_path)
    with (out / "README.md").open("a") as card:
        card.write("Edited after it was signed.\n")
    (out / "tokenizer.json").unlink()
    (out / "deep").mkdir()
    (out / "deep" / "modeling.py").write_text("print()")
    found = found_codes(run, out, keys.public)
    assert found["README.md"] == ["signature-file-changed"]
    assert found["tokenizer.json"] == ["signature-file-missing", "label-file-missing"]
    assert found["deep/modeling.py"] == ["signature-file-extra"]
    assert len(found) == 3


def test_no_signature_is_one_clear_error(labelled: tuple[Path, MergeRecord], keys: Pair, run: Run) -> None:
    assert found_codes(run, labelled[0], keys.public) == {"model.sig": ["signature-missing"]}


def test_a_label_that_is_written_is_signed_too_and_breaks_an_old_signature_only_when_asked(
    labelled: tuple[Path, MergeRecord], keys: Pair, run: Run, tmp_path: Path
) -> None:
    out = copy_of(labelled[0], tmp_path)
    for path in out.glob("*"):
        if path.name.startswith("parentage") or path.name in ("merge-recipe.yaml", "README.md"):
            path.unlink()
    recipe = labelled[0].parent / "recipe.yaml"
    assert run("label", "write", out, "--recipe", recipe, "--sign", keys.private).code == 0
    assert run("label", "verify", out, "--key", keys.public).code == 0
    (out / "parentage.json").unlink()
    done = run("label", "write", out, "--recipe", recipe)
    assert (done.code, done.error) == (2, "label-exists")
    assert run("label", "write", out, "--recipe", recipe, "--replace").code == 0
    assert not (out / "model.sig").exists()


def test_links_are_not_signed(
    labelled: tuple[Path, MergeRecord], keys: Pair, run: Run, tmp_path: Path
) -> None:
    out = copy_of(labelled[0], tmp_path)
    (out / "link").symlink_to(out / "config.json")
    recipe = labelled[0].parent / "recipe.yaml"
    before = (out / "parentage.json").read_bytes()
    done = run("label", "write", out, "--recipe", recipe, "--replace", "--sign", keys.private)
    assert (done.code, done.error) == (2, "sign-link")
    assert (out / "parentage.json").read_bytes() == before


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_each_curve_signs_and_a_key_does_not_show_itself(curve: Any, tmp_path: Path) -> None:
    found = pair(tmp_path, ec.generate_private_key(curve))
    signer = labels.load_signer(found.private)
    from parentage.cards.keys import load_verifier

    verifier = load_verifier(found.public)
    verifier.check(signer.sign(b"data"), b"data")
    assert signer.fingerprint == verifier.fingerprint
    assert "key" not in repr(signer).replace("fingerprint", "")
    assert signer.warning == ""


def test_a_key_that_others_may_read_is_warned_of(
    labelled: tuple[Path, MergeRecord], run: Run, tmp_path: Path
) -> None:
    found = pair(tmp_path / "keys")
    found.private.chmod(0o644)
    recipe = labelled[0].parent / "recipe.yaml"
    done = run("merge", recipe, tmp_path / "out", "--sign", found.private)
    assert done.code == 0
    assert "warning: others than its owner may read or write the private key" in done.err


def test_an_encrypted_key_needs_its_password(
    tmp_path: Path, run: Run, labelled: tuple[Path, MergeRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pair(tmp_path / "keys", password=PASSWORD)
    recipe, out = labelled[0].parent / "recipe.yaml", tmp_path / "out"
    done = run("merge", recipe, out, "--sign", found.private)
    assert (done.code, done.error) == (2, "key-encrypted")
    assert not out.exists()
    monkeypatch.setenv("PARENTAGE_KEY_PASSWORD", "another")
    assert run("merge", recipe, out, "--sign", found.private).error == "key-malformed"
    monkeypatch.setenv("PARENTAGE_KEY_PASSWORD", PASSWORD.decode())
    done = run("merge", recipe, out, "--sign", found.private)
    assert done.code == 0
    assert PASSWORD.decode() not in done.out + done.err
    assert run("label", "verify", out, "--key", found.public).code == 0


def test_keys_that_are_none_are_told_apart(tmp_path: Path, signed: Path, keys: Pair, run: Run) -> None:
    strange = pair(tmp_path / "rsa", rsa.generate_private_key(65537, 2048))
    old = pair(tmp_path / "k1", ec.generate_private_key(ec.SECP256K1()))
    (tmp_path / "text").write_text("no key")
    cases = [
        (tmp_path / "nowhere", "key-not-read"),
        (tmp_path, "key-not-read"),
        (tmp_path / "text", "key-malformed"),
        (keys.private, "key-malformed"),
        (strange.public, "key-kind"),
        (old.public, "key-kind"),
    ]
    for path, code in cases:
        done = run("label", "verify", signed, "--key", path)
        assert (done.code, done.error) == (2, code)
    for path, code in ((keys.public, "key-malformed"), (strange.private, "key-kind")):
        with pytest.raises(UsageError) as raised:
            labels.load_signer(path)
        assert raised.value.code == code


def test_without_the_library_it_is_said_what_to_install(
    keys: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(UsageError) as raised:
        labels.load_signer(keys.private)
    assert raised.value.code == "signing-not-installed"


def test_a_run_that_could_not_sign_leaves_no_merge(
    labelled: tuple[Path, MergeRecord], run: Run, tmp_path: Path
) -> None:
    shutil.copy(labelled[0] / "config.json", tmp_path / "key.pem")
    done = run(
        "merge", labelled[0].parent / "recipe.yaml", tmp_path / "out", "--sign", tmp_path / "key.pem"
    )
    assert (done.code, done.error) == (2, "key-malformed")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "out.partial").exists()
