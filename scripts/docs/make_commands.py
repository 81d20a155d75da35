"""Write ``docs/commands.md``: every command's own help, and what short runs on real fixtures print.

    python scripts/docs/make_commands.py          # write the page
    python scripts/docs/make_commands.py --check  # exit 1 when it is stale

The models of the runs were merged by mergekit itself (``tests/fixtures/mergekit``).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["COMMANDS", "PAGE", "masked", "page"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "commands.md"
FIXTURES = ROOT / "tests" / "fixtures" / "mergekit"
MODELS = {"merge": "linear", "nex": "A", "other": "B", "qwen": "O"}
PROGRAM = (sys.executable, "-c", "from parentage.cli.main import main; main()")
WIDTH = "92"
# Runs of blanks, rules and digits move with every measurement; words and layout do not.
VARYING = re.compile(r"[-+]?\d[\d,.:e+-]*|[ \t─█░▏▎▍▌▋▊▉▓▒]+")

INTRODUCTION = """\
# Commands

<!-- Written by scripts/docs/make_commands.py from the program itself; edit its help instead. -->

What each command does, in its own words (`parentage COMMAND --help`), and what it prints. The runs below
are real: `models/merge.safetensors` was made by mergekit from `nex` and `qwen`, two small models; `other`
is another fine-tune of `qwen`. Errors and exit codes are explained in [errors.md](errors.md).
Recipes of the last commands are this one, `recipe.yaml`:

```yaml
{recipe}```
"""

RECIPE = """\
merge_method: linear
models:
  - model: models/nex.safetensors
    parameters: {weight: 0.6}
  - model: models/qwen.safetensors
    parameters: {weight: 0.4}
dtype: bfloat16
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """A run that the page shows; ``damaged``: a file whose last byte is turned over meanwhile."""

    line: str
    about: str
    damaged: str = ""


CARD = """\
---
base_model: acme/qwen
license: apache-2.0
---
# Marola-22M

Marola-22M was post-trained from acme/qwen by the Municipal IT Company of Porto Claro. It is not a merge.
"""

COMMANDS: dict[str, tuple[Shown, ...]] = {
    "audit": (
        Shown(
            "parentage audit models/merge.safetensors -p models/nex.safetensors "
            "-p models/qwen.safetensors -c models/other.safetensors --evidence evidence.json",
            "Two suspected parents, and another fine-tune as control:",
        ),
        Shown(
            "parentage audit models/merge.safetensors --candidates models --json report.json "
            "--fail-on undisclosed",
            "Parents unknown, in a pipeline that refuses what a model does not disclose:",
        ),
    ),
    "dossier": (
        Shown(
            "parentage dossier models/merge.safetensors -p models/nex.safetensors "
            "-p models/qwen.safetensors --card card.md --called qwen.safetensors=acme/qwen "
            "--archive dossier.zip",
            "Weights and card weighed together; nobody was asked ([dossier.md](dossier.md)):",
        ),
        Shown(
            "parentage verify dossier.zip --without-inputs",
            "What of its archive follows without the models:",
        ),
    ),
    "verify": (
        Shown("parentage verify evidence.json", "A stranger checks it:"),
        Shown(
            "parentage verify evidence.json --limit 3",
            "And after one byte of a parent was changed:",
            damaged="models/nex.safetensors",
        ),
    ),
    "report": (
        Shown(
            "parentage report report.json --html report.html",
            "A saved report becomes a page; a saved evidence would be judged again first:",
        ),
    ),
    "card": (
        Shown(
            "parentage card card.md --from-evidence evidence.json --called qwen.safetensors=acme/qwen",
            "Does a card say what the weights say?",
        ),
    ),
    "inspect": (Shown("parentage inspect models/merge.safetensors --limit 4", "What lies in it:"),),
    "diff": (
        Shown(
            "parentage diff models/merge.safetensors models/nex.safetensors "
            "--base models/qwen.safetensors --limit 4",
            "How far the merge is from a parent, and whether both went the same way from the base:",
        ),
    ),
    "merge": (
        Shown("parentage merge recipe.yaml blend --dry-run --limit 4", "What would be done:"),
        Shown("parentage merge recipe.yaml blend --profile mergekit-0.1.5", "The merge, with its labels:"),
    ),
    "replay": (
        Shown(
            "parentage replay recipe.yaml models/merge.safetensors --profile mergekit-0.1.5",
            "Is the model that mergekit made what this recipe makes?",
        ),
        Shown(
            "parentage replay recipe.yaml models/other.safetensors --profile mergekit-0.1.5 --limit 3",
            "And one that is not:",
        ),
    ),
    "label": (
        Shown("parentage label verify blend", "Are the files of the merge above what its label says?"),
        Shown(
            "parentage label verify blend",
            "And after one byte of its weights was changed:",
            damaged="blend/model.safetensors",
        ),
    ),
    "interview": (
        Shown(
            "parentage interview http://localhost:8080/v1 --dry-run --price 0.5,1.5",
            "What would be asked of a server, and what that may cost ([interview.md](interview.md)):",
        ),
    ),
    "generate": (
        Shown(
            "parentage generate http://localhost:8080/v1 --prompt hello",
            "Decoding is changed where a model runs, nowhere else ([generate.md](generate.md)):",
        ),
    ),
    "explore": (
        Shown(
            "parentage explore search recipe.yaml --objective task:arithmetic --budget 400",
            "A recipe without a range is none to search ([explore.md](explore.md)):",
        ),
        Shown(
            "parentage explore noise models/nex.safetensors models/qwen.safetensors",
            "Was a model made by noise that is the same in all tensors?",
        ),
    ),
    "train": (
        Shown(
            "parentage train sft models card.md --out tuned",
            "Data are read first, and every fault has its line ([training.md](training.md)):",
        ),
    ),
}
# Commands that are groups of commands.
PARTS: dict[str, tuple[str, ...]] = {
    "label": ("verify", "write"),
    "explore": ("path", "search", "noise"),
    "train": ("sft", "distill", "rl", "randopt"),
}


def page() -> str:
    """The whole page, from runs in a folder of their own."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "models").mkdir()
        for name, fixture in MODELS.items():
            shutil.copy(FIXTURES / f"{fixture}.safetensors", f"{folder}/models/{name}.safetensors")
        (Path(folder) / "recipe.yaml").write_text(RECIPE)
        (Path(folder) / "card.md").write_text(CARD)
        return "\n".join(_lines(Path(folder))).rstrip() + "\n"


def masked(text: str) -> str:
    """The page without what varies from machine to machine, and from one measure to a better one."""
    return VARYING.sub(" ", text)


def _lines(folder: Path) -> Iterator[str]:
    yield INTRODUCTION.format(recipe=RECIPE)
    yield from _block("parentage --help", folder)
    for command, runs in COMMANDS.items():
        yield f"\n## {command}\n"
        yield from _block(f"parentage {command} --help", folder)
        for part in PARTS.get(command, ()):
            yield from _block(f"parentage {command} {part} --help", folder)
        for shown in runs:
            yield f"\n{shown.about}\n"
            if shown.damaged:
                _turn_over_last_byte(folder / shown.damaged)
            yield from _block(shown.line, folder)
            if shown.damaged:
                _turn_over_last_byte(folder / shown.damaged)


def _block(line: str, folder: Path) -> Iterator[str]:
    environment = {**os.environ, "COLUMNS": WIDTH, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*PROGRAM, *shlex.split(line)[1:]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        cwd=folder, env=environment, check=False, text=True,
    )  # fmt: skip
    yield "```console"
    yield f"$ {line}"
    yield from (text.rstrip() for text in done.stdout.rstrip("\n").split("\n") if done.stdout)
    if done.returncode:
        yield f"# exit code {done.returncode}"
    yield "```"


def _turn_over_last_byte(path: Path) -> None:
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 0xFF]))


def main() -> int:
    """Write or check; exit 1 when the page is stale."""
    if "--check" in sys.argv[1:]:
        return int(masked(PAGE.read_text()) != masked(page()))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main())
