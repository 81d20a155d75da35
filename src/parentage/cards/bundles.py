"""Signatures in the format of OpenSSF's model-signing 1.x: a Sigstore bundle around a DSSE envelope around
an in-toto statement that lists every file of a model by SHA-256.

Bundle: sigstore/protobuf-specs, v0.3; envelope: secure-systems-lab/dsse v1.0; predicate:
``https://model_signing/signature/v1.0`` (sigstore/model-transparency).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from parentage.cards.folder_files import GIT, SIGNATURE, checked_name
from parentage.cards.keys import Signer, Verifier
from parentage.cards.statements import STATEMENT_TYPE
from parentage.checkpoints.formats.safetensors_header import DuplicateNameError, unique_names
from parentage.errors import LabelError

__all__ = ["MOST_BUNDLE", "Manifest", "bundle_of", "manifest_in"]

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
# A hundred thousand files take 20 MB.
MOST_BUNDLE: Final = 2**26


@dataclass(frozen=True, slots=True)
class Manifest:
    """``digests``: SHA-256 in hexadecimal by name; ``ignored``: names that the signer left out."""

    name: str
    digests: Mapping[str, str]
    ignored: tuple[str, ...]


def bundle_of(name: str, digests: Mapping[str, str], signer: Signer) -> bytes:
    """The bundle; ``name``: of the model, for information."""
    payload = json.dumps(_statement(name, digests), ensure_ascii=False, indent=2).encode()
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": signer.fingerprint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signer.sign(_pae(payload))).decode(), "keyid": ""}],
        },
    }
    return (json.dumps(bundle) + "\n").encode()


def _statement(name: str, digests: Mapping[str, str]) -> dict[str, Any]:
    # In the order of paths, part by part: the root digest is over the digests in this order.
    ordered = sorted(digests, key=lambda n: n.split("/"))
    root = hashlib.sha256(b"".join(bytes.fromhex(digests[n]) for n in ordered)).hexdigest()
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [SIGNATURE, *GIT],
            },
            "resources": [{"name": n, "algorithm": "sha256", "digest": digests[n]} for n in ordered],
        },
    }


def _pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def manifest_in(raw: bytes, verifier: Verifier) -> Manifest:
    """What a bundle says, once its signature holds under the key; nothing of it is believed before.

    Raises ``LabelError``: ``signature-malformed``, ``signature-unsupported``, ``signature-other-key``,
    ``signature-invalid``.
    """
    bundle = _object(raw, "the bundle")
    envelope = bundle.get("dsseEnvelope")
    material = bundle.get("verificationMaterial")
    if bundle.get("mediaType") != MEDIA_TYPE or not isinstance(envelope, dict):
        raise _malformed("it is no Sigstore bundle of version 0.3 with an envelope")
    _check_key(material, verifier)
    payload = _decoded(envelope.get("payload"))
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise _malformed("the envelope holds no in-toto statement")
    verifier.check(_signature(envelope), _pae(payload))
    return _manifest(_object(payload, "the statement"))


def _check_key(material: Any, verifier: Verifier) -> None:
    table = material if isinstance(material, dict) else {}
    key = table.get("publicKey")
    if not isinstance(key, dict):
        raise LabelError(
            "the signature was made with a certificate or an identity, not with a key",
            code="signature-unsupported",
            hint="model_signing verify certificate, or sigstore, checks it",
        )
    hint = key.get("hint")
    if hint and hint != verifier.fingerprint:
        raise LabelError(
            f"the signature is by another key than the one given (SHA-256 {verifier.fingerprint})",
            code="signature-other-key",
            hint="ask who signed it for their public key",
        )


def _signature(envelope: Mapping[str, Any]) -> bytes:
    signatures = envelope.get("signatures")
    first = signatures[0] if isinstance(signatures, list) and len(signatures) == 1 else None
    if not isinstance(first, dict):
        raise _malformed("the envelope has not exactly one signature")
    return _decoded(first.get("sig"))


def _decoded(text: Any) -> bytes:
    try:
        if isinstance(text, str):
            return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        pass
    raise _malformed("what should be base64 is not")


def _object(raw: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=unique_names)
    except (ValueError, RecursionError, DuplicateNameError):
        found = None
    if not isinstance(found, dict):
        raise _malformed(f"{what} is no JSON object")
    return found


def _manifest(statement: Mapping[str, Any]) -> Manifest:
    subjects, predicate = statement.get("subject"), statement.get("predicate")
    one = subjects[0] if isinstance(subjects, list) and len(subjects) == 1 else None
    digest = one.get("digest") if isinstance(one, dict) else None
    types = (statement.get("_type"), statement.get("predicateType"))
    if types != (STATEMENT_TYPE, PREDICATE_TYPE) or not isinstance(predicate, dict) or one is None:
        raise _malformed("the statement is not of model-signing's kind")
    serialization = predicate.get("serialization")
    table = serialization if isinstance(serialization, dict) else {}
    if (table.get("method"), table.get("hash_type")) != ("files", "sha256"):
        raise LabelError(
            "the signature is not over the SHA-256 of whole files",
            code="signature-unsupported",
            hint="model_signing verify key checks it",
        )
    digests = _resources(predicate.get("resources"))
    root = hashlib.sha256(b"".join(bytes.fromhex(d) for d in digests.values())).hexdigest()
    if not isinstance(digest, dict) or digest.get("sha256") != root:
        raise _malformed("the statement's digest of the whole is not that of its parts")
    ignored = table.get("ignore_paths")
    names = tuple(n for n in ignored if isinstance(n, str)) if isinstance(ignored, list) else ()
    return Manifest(str(one.get("name")), digests, names)


def _resources(listed: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in listed if isinstance(listed, list) else ():
        table = one if isinstance(one, dict) else {}
        name, digest = table.get("name"), table.get("digest")
        good = isinstance(name, str) and isinstance(digest, str) and len(digest) == 64
        if not good or table.get("algorithm") != "sha256" or name in found:
            raise _malformed("a file of the statement has no name or no SHA-256 of its own")
        try:
            found[checked_name(str(name))] = bytes.fromhex(str(digest)).hex()
        except (ValueError, LabelError):
            raise _malformed("the statement has a SHA-256 or a file name that is none") from None
    if not found:
        raise _malformed("the statement lists no file")
    return found


def _malformed(message: str) -> LabelError:
    return LabelError(message, code="signature-malformed", hint="do not rely on it; fetch the file again")
