"""Keys to sign with and to check with: elliptic curves, in PEM files. Nothing of a key is ever shown."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from parentage.errors import LabelError, UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

__all__ = ["Signer", "Verifier", "load_signer", "load_verifier"]

MOST: Final = 2**16
CURVES: Final = ("secp256r1", "secp384r1", "secp521r1")
MAKE: Final = "openssl ecparam -name prime256v1 -genkey -noout -out key.pem"


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key; ``fingerprint``: SHA-256 of its PEM form (SubjectPublicKeyInfo), in hexadecimal."""

    key: EllipticCurvePublicKey = field(repr=False)
    fingerprint: str

    def check(self, signature: bytes, data: bytes) -> None:
        """Raise ``LabelError`` (``signature-invalid``) unless ``signature`` (DER, ECDSA) is of ``data``."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

        try:
            self.key.verify(signature, data, ECDSA(_hash_of(self.key)))
        except InvalidSignature:
            raise LabelError(
                "the signature is not of what the bundle says: one of the two was changed, or another key "
                "made it",
                code="signature-invalid",
                hint="do not rely on it; fetch the files again",
            ) from None


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key; ``warning``: what is unwise about its file, or empty."""

    key: EllipticCurvePrivateKey = field(repr=False)
    fingerprint: str
    warning: str

    def sign(self, data: bytes) -> bytes:
        """ECDSA in DER, over the hash that fits the curve (SHA-256 for P-256)."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

        return self.key.sign(data, ECDSA(_hash_of(self.key.public_key())))


def load_signer(path: Path, password: str | None = None) -> Signer:
    """A private key of P-256, P-384 or P-521; ``password`` where the file is encrypted.

    Raises ``UsageError``: ``signing-not-installed``, ``key-not-read``, ``key-malformed``,
    ``key-encrypted``, ``key-kind``.
    """
    _installed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    raw = _read(path)
    try:
        key = load_pem_private_key(raw, None if password is None else password.encode())
    except TypeError:
        raise UsageError(
            "the key is encrypted and no password was given, or is not and one was",
            code="key-encrypted",
            where=str(path),
            hint="PARENTAGE_KEY_PASSWORD holds the password",
        ) from None
    except ValueError:
        raise _malformed(path, "no private key in PEM, or the password is wrong") from None
    except UnsupportedAlgorithm:
        raise _kind(path) from None
    return _signer(key, path)


def _signer(key: object, path: Path) -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name not in CURVES:
        raise _kind(path)
    return Signer(key, _fingerprint(key.public_key()), _warning(path))


def load_verifier(path: Path) -> Verifier:
    """A public key of P-256, P-384 or P-521.

    Raises ``UsageError``: ``signing-not-installed``, ``key-not-read``, ``key-malformed``, ``key-kind``.
    """
    _installed()
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    raw = _read(path)
    try:
        key = load_pem_public_key(raw)
    except ValueError:
        raise _malformed(path, "no public key in PEM") from None
    except UnsupportedAlgorithm:
        raise _kind(path) from None
    if not isinstance(key, EllipticCurvePublicKey) or key.curve.name not in CURVES:
        raise _kind(path)
    return Verifier(key, _fingerprint(key))


def _installed() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise UsageError(
            "signatures need the library cryptography, which is not installed",
            code="signing-not-installed",
            hint='pip install "parentage[signing]"',
        ) from None


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise OSError("not a regular file")
        with path.open("rb") as file:
            return file.read(MOST)
    except OSError as error:
        raise UsageError(
            f"the key cannot be read: {error.strerror or error}",
            code="key-not-read",
            where=str(path),
            hint="name a file in PEM",
        ) from None


def _malformed(path: Path, message: str) -> UsageError:
    return UsageError(message, code="key-malformed", where=str(path), hint=f"such a key: {MAKE}")


def _kind(path: Path) -> UsageError:
    return UsageError(
        "not a key of the elliptic curves P-256, P-384 or P-521",
        code="key-kind",
        where=str(path),
        hint=f"such a key: {MAKE}",
    )


def _warning(path: Path) -> str:
    mode = path.stat().st_mode & 0o777
    if not mode & 0o077:
        return ""
    return f"others than its owner may read or write the private key (mode {mode:o}): chmod 600 {path.name}"


def _fingerprint(key: EllipticCurvePublicKey) -> str:
    """As OpenSSF's model-signing 1.1 has it in a bundle's hint."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(pem).hexdigest()


def _hash_of(key: EllipticCurvePublicKey) -> HashAlgorithm:
    from cryptography.hazmat.primitives import hashes

    return {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[key.curve.key_size]
