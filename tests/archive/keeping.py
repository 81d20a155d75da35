"""What a release keeps of its dossiers: a signed archive, and files of answers, readings and claims.

``python -m tests.golden --archive`` calls it. The private key is thrown away: nobody signs for an old
version again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

__all__ = ["KEPT", "keep_dossier"]

ROOT: Final = Path(__file__).resolve().parents[2]
# As a user names them, from the repository.
RUN: Final = "tests/fixtures/training-run"
PANEL: Final = "tests/fixtures/panel"
CARD: Final = "tests/fixtures/cards/case-before-edit.md"
ANSWERS: Final = (f"{PANEL}/suspect.jsonl", *(f"--panel={PANEL}/panel-{k}.jsonl" for k in (1, 2)))
MODELS: Final = (
    f"{RUN}/merge.safetensors",
    *(f"--parent={RUN}/{name}.safetensors" for name in ("end", "base")),
    f"--control={RUN}/sibling-1.safetensors",
    "--sample=512",
)
CALLED: Final = "--called=base.safetensors=kestrel-ai/Kestrel-3.5-397B-A17B"
KEPT: Final = ("answers.jsonl", "card.json", "dossier.zip", "interview.json", "signer.pub.pem")


def keep_dossier(folder: Path) -> None:
    """Write ``KEPT`` to a folder: a merge, real answers of a panel, a card that tells otherwise."""
    shutil.copyfile(ROOT / ANSWERS[0], folder / "answers.jsonl")
    # Claims note which readings were given: no place of one machine.
    readings = os.path.relpath(folder / "interview.json", ROOT)
    _command("interview", *ANSWERS, f"--json={readings}")
    told = _command("card", CARD, f"--from-interview={readings}", "--json")
    (folder / "card.json").write_bytes(told)
    with TemporaryDirectory() as place:
        secret = _keys(Path(place), folder / "signer.pub.pem")
        given = (f"--interview={ANSWERS[0]}", *ANSWERS[1:], f"--card={CARD}", CALLED)
        _command("dossier", *MODELS, *given, f"--archive={folder / 'dossier.zip'}", f"--sign={secret}")


def _command(*words: str) -> bytes:
    """What it prints."""
    program = "from parentage.cli.main import main; main()"
    line = [sys.executable, "-c", program, *words]
    return subprocess.run(line, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout


def _keys(place: Path, public: Path) -> Path:
    """A new private key, its public half written beside the archive."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    secret = place / "signer.pem"
    secret.touch(mode=0o600)
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return secret
