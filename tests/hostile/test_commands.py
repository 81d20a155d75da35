"""Bad input on the command line: one clear error with a stable code each, and nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cli.running import SPAWN, Outcome, Run
from tests.hostile.headers import container
from tests.hostile.models import write_family

HOSTILE = "\x1b[2J\u202e[bold]\n"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give its rights away")


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    return write_family(tmp_path_factory.mktemp("family"))


@pytest.fixture
def family(pristine: Mapping[str, Path], tmp_path: Path) -> Mapping[str, Path]:
    """O, A and their blend C, which the test may damage."""
    return {name: Path(shutil.copytree(folder, tmp_path / name)) for name, folder in pristine.items()}


def audit(run: Run, family: Mapping[str, Path], *more: str | Path) -> Outcome:
    """An audit of C that writes all three outputs."""
    folder = family["C"].parent
    return run(
        "audit", family["C"], "-p", family["A"], "-p", family["O"], *more,
        "--json", folder / "r.json", "--html", folder / "r.html", "--evidence", folder / "e.json",
    )  # fmt: skip


def refused(done: Outcome, code: str, exit_code: int, where: Path | str = "") -> None:
    """One error, nothing on standard output, and what a terminal would obey shown by its escape."""
    assert (done.error, done.code, done.out) == (code, exit_code, "")
    assert str(where) in done.err
    assert "  try:   " in done.err
    assert all(c.isprintable() or c == "\n" for c in done.err), done.err


def nothing_written(folder: Path) -> None:
    assert not [p.name for p in folder.iterdir() if p.name.startswith(("r.", "e."))]


def test_a_good_audit_writes_all_that_was_asked_for(run: Run, family: Mapping[str, Path]) -> None:
    done = audit(run, family)
    assert (done.code, done.err) == (0, "")
    written = {p.name for p in family["C"].parent.iterdir() if p.is_file()}
    assert written == {"r.json", "r.html", "e.json"}


@pytest.mark.parametrize("role", ["suspect", "-p", "-c", "--base", "--previous"])
def test_a_missing_model_is_named_whatever_it_was_given_as(
    role: str, run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    absent = tmp_path / "absent"
    if role == "suspect":
        done = run("audit", absent, "-p", family["A"])
    else:
        done = audit(run, family, role, absent)
    refused(done, "input-missing", 3, absent)
    nothing_written(tmp_path)


@pytest.mark.parametrize("command", ["inspect", "diff", "verify", "report"])
def test_every_command_names_a_missing_file(command: str, run: Run, tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    refused(run(command, *[absent] * (2 if command == "diff" else 1)), "input-missing", 3, absent)


def damaged(weights: Path, how: str) -> None:
    raw = weights.read_bytes()
    changed = {
        "truncated": raw[:-100],
        "header larger than the file": (len(raw) + 1).to_bytes(8, "little") + raw[8:],
        "header of exabytes": (2**62).to_bytes(8, "little") + raw[8:],
        "empty": b"",
        "not JSON": container(b"{" * 100, b""),
        "trailing": raw + b"\0",
    }
    weights.write_bytes(changed[how])


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("truncated", "data-truncated"),
        ("header larger than the file", "header-truncated"),
        ("header of exabytes", "header-too-large"),
        ("empty", "header-truncated"),
        ("not JSON", "header-not-json"),
        ("trailing", "data-trailing"),
    ],
)
def test_a_damaged_weight_file_is_named(
    how: str, code: str, run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    weights = family["A"] / "model.safetensors"
    damaged(weights, how)
    refused(audit(run, family), code, 3, weights)
    refused(run("inspect", family["A"]), code, 3, weights)
    refused(run("diff", family["A"], family["O"]), code, 3, weights)
    nothing_written(tmp_path)


def sharded(folder: Path, shard: str) -> None:
    header = json.loads((folder / "model.safetensors").read_bytes()[8:].split(b"}}")[0] + b"}}")
    names = [n for n in header if n != "__metadata__"]
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    index = {"weight_map": dict.fromkeys(names, shard)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_an_index_that_leads_out_of_the_folder_is_refused(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    sharded(family["A"], "../O/model.safetensors")
    refused(audit(run, family), "index-escapes", 3, "model.safetensors.index.json")
    nothing_written(tmp_path)


def test_a_good_index_is_followed(run: Run, family: Mapping[str, Path]) -> None:
    sharded(family["A"], "part.safetensors")
    assert audit(run, family).code == 0


def test_a_link_out_of_the_folder_is_refused_and_its_file_may_be_named(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    outside = tmp_path / "outside.safetensors"
    (family["A"] / "model.safetensors").rename(outside)
    (family["A"] / "model.safetensors").symlink_to(outside)
    refused(audit(run, family), "link-escapes", 3, family["A"])
    nothing_written(tmp_path)
    assert run("audit", family["C"], "-p", outside, "-p", family["O"]).code == 0


def test_the_links_of_the_hubs_cache_are_followed(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    repository = tmp_path / "hub" / "models--org--A"
    (repository / "blobs").mkdir(parents=True)
    (family["A"] / "model.safetensors").rename(repository / "blobs" / "0f")
    snapshot = repository / "snapshots" / "c0ffee"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").symlink_to("../../blobs/0f")
    done = run("audit", family["C"], "-p", snapshot, "-p", family["O"], "--json", "-")
    assert json.loads(done.out)["parents"][0]["revision"] == "c0ffee"


def spellings(model: Path, tmp_path: Path) -> dict[str, Path]:
    link, file_link = tmp_path / "link", tmp_path / "link.safetensors"
    link.symlink_to(model)
    file_link.symlink_to(model / "model.safetensors")
    return {
        "itself": model,
        "its file": model / "model.safetensors",
        "a link to its folder": link,
        "a link to its file": file_link,
        "a detour": model.parent / "x" / ".." / model.name,
        "with a slash": Path(f"{model}/."),
    }


@pytest.mark.parametrize("first", ["A", "C"])
@pytest.mark.parametrize(
    "spelling",
    ["itself", "its file", "a link to its folder", "a link to its file", "a detour", "with a slash"],
)
@pytest.mark.parametrize("role", ["-p", "-c", "--previous"])
def test_one_model_in_two_roles_is_refused_however_it_is_spelt(
    first: str, spelling: str, role: str, run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    (tmp_path / "x").mkdir()
    again = spellings(family[first], tmp_path)[spelling]
    refused(audit(run, family, role, again), "usage-repeated-model", 2, again)
    nothing_written(tmp_path)


def test_a_base_that_is_also_a_parent_is_one_model(run: Run, family: Mapping[str, Path]) -> None:
    done = audit(run, family, "--base", family["O"] / "model.safetensors")
    assert done.code == 0, done.err


@pytest.mark.parametrize("role", ["-p", "-c"])
def test_a_copy_of_a_parent_is_no_second_model(
    role: str, run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    """Two equal parents would leave one of them to explain the suspect alone, in either direction."""
    shutil.copytree(family["A"], tmp_path / "mirror")
    refused(audit(run, family, role, tmp_path / "mirror"), "usage-repeated-model", 2, tmp_path / "mirror")
    nothing_written(tmp_path)


def test_a_copy_of_the_suspect_among_the_parents_is_found_to_be_one(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    mirror = shutil.copytree(family["C"], tmp_path / "mirror")
    done = run("audit", family["C"], "-p", mirror, "-p", family["O"], "--json", "-")
    verdict = json.loads(done.out)["verdict"]
    assert (verdict["relation"], verdict["status"]) == ("copy", "supported")


def test_a_fifo_does_not_hold_any_command(run: Run, family: Mapping[str, Path], tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    refused(audit(run, family, "-c", fifo), "input-not-file", 3, fifo)
    for command in ("inspect", "verify", "report"):
        refused(run(command, fifo), "input-not-file", 3, fifo)
    refused(run("audit", family["C"], "--candidates", fifo), "usage-candidates", 2, fifo)
    nothing_written(tmp_path)


@pytest.mark.parametrize("command", ["inspect", "verify", "report"])
def test_devices_and_folders_are_no_files(command: str, run: Run, tmp_path: Path) -> None:
    refused(run(command, "/dev/zero"), "input-not-file", 3, "/dev/zero")
    done = run(command, tmp_path)
    refused(done, "no-weights" if command == "inspect" else "input-not-file", 3, tmp_path)


def test_other_formats_are_refused_and_never_unpickled(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    pickled = tmp_path / "pytorch_model.bin"
    pickled.write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    refused(audit(run, family, "-c", pickled), "format-not-read", 3, pickled)
    assert not Path("owned").exists()


# The interpreter's own files may be root's alone: everything is imported, by a good run, before the
# rights are given away.
UNPRIVILEGED = """
import contextlib, io, os, sys
from parentage.cli.main import main
own, good = sys.argv, sys.argv.pop()
sys.argv = ["parentage", "audit", good + "/C", "-p", good + "/O", "--json", good + "/warm"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
os.remove(good + "/warm")
sys.argv = own
os.setgroups([]); os.setgid(65534); os.setuid(65534)
main()
"""


@root_only
def test_without_permission_nothing_is_read_or_written(family: Mapping[str, Path], tmp_path: Path) -> None:
    # pytest's own folder of temporary folders, and all below it, are closed to others.
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(0o755)
        if folder.name.startswith("pytest-of-"):
            break
    secret = family["A"] / "model.safetensors"
    secret.chmod(0o600)
    (tmp_path / "closed").mkdir(mode=0o700)
    (tmp_path / "evidence.json").write_text("{}")
    (tmp_path / "evidence.json").chmod(0o600)

    def nobody(*arguments: str | Path) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-c", UNPRIVILEGED, *map(str, arguments), tmp_path],
            capture_output=True, check=False, text=True, timeout=300,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout, done.stderr)

    refused(nobody("audit", family["C"], "-p", family["A"]), "input-permission", 3, secret)
    refused(nobody("inspect", tmp_path / "closed"), "input-permission", 3, tmp_path / "closed")
    refused(nobody("verify", tmp_path / "evidence.json"), "input-permission", 3)
    out = tmp_path / "r.json"
    done = nobody("audit", family["C"], "-p", family["O"], "--json", out)
    refused(done, "output-not-written", 1, out)
    nothing_written(tmp_path)


def test_a_hostile_path_is_shown_by_its_escapes(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    odd = tmp_path / HOSTILE
    refused(run("inspect", odd), "input-missing", 3, "\\x1b[2J\\u202e[bold]")
    refused(run("verify", odd), "input-missing", 3)
    refused(run("audit", family["C"], "-p", family["A"], "--claim", HOSTILE), "usage-claim", 2)
    refused(run("audit", family["C"], "-p", family["A"], f"--{HOSTILE}"), "usage", 2)
    refused(run(HOSTILE), "usage", 2)
    family["A"].rename(odd)
    done = run("audit", family["C"], "-p", odd, "-p", family["O"], "--html", odd / "r.html")
    assert done.code == 0, done.err
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out


def test_a_name_that_is_no_text_is_shown_and_saved(
    run: Run, family: Mapping[str, Path], tmp_path: Path
) -> None:
    odd = family["A"].rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe"))
    evidence = tmp_path / "e.json"
    done = run("audit", family["C"], "-p", odd, "-p", family["O"], "--json", "-", "--evidence", evidence)
    assert done.code == 0, done.err
    assert json.loads(done.out)["parents"][0]["name"] == odd.name
    assert run("verify", evidence).code == 0


def test_a_name_of_thousands_of_letters_does_not_flood_the_screen(run: Run) -> None:
    done = run("inspect", "n" * 100_000)
    refused(done, "input-unreadable", 3)
    assert len(done.err) < 2_000


@pytest.mark.parametrize(
    "arguments",
    [
        [], ["audit"], ["audit", "x", "--sample", "0"], ["audit", "x", "--sample", "many"],
        ["audit", "x", "--sample", str(2**40)], ["audit", "x", "--nonsense"], ["nonsense"],
        ["audit", "x", "y"], ["diff", "x"], ["verify"], ["audit", "x", "--workers", "-1"],
    ],
)  # fmt: skip
def test_a_command_that_makes_no_sense_is_usage(arguments: list[str], run: Run) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    if arguments:
        assert done.error == "usage"
        assert "--help" in done.err
    else:
        assert "Usage: parentage" in done.err


def test_nothing_to_compare_with_is_usage(run: Run, family: Mapping[str, Path]) -> None:
    refused(run("audit", family["C"]), "usage-no-parents", 2)


def test_a_root_that_is_not_among_the_models_is_usage(run: Run, family: Mapping[str, Path]) -> None:
    for root, more in (("O", ()), ("C", ("--dry-run",))):
        done = run("audit", family["C"], "-p", family["A"], "--root", family[root], *more)
        refused(done, "usage-root", 2)


def test_more_parents_than_can_be_weighed_is_usage(run: Run, family: Mapping[str, Path]) -> None:
    many = [option for _ in range(9) for option in ("-p", family["A"])]
    refused(run("audit", family["C"], *many), "usage-too-many-parents", 2)


def test_a_file_that_is_cut_while_it_is_measured_is_an_error_of_reading(
    family: Mapping[str, Path], tmp_path: Path
) -> None:
    cut = f"""
import os, sys
import parentage.evidence.measure as measure
first = measure.align
def cutting(*given, **more):
    os.truncate({str(family["A"] / "model.safetensors")!r}, 1000)
    return first(*given, **more)
measure.align = cutting
from parentage.cli.main import main
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", cut, "audit", family["C"], "-p", family["A"], "-p", family["O"],
         "--json", tmp_path / "r.json"],
        capture_output=True, check=False, text=True, timeout=300,
    )  # fmt: skip
    refused(Outcome(done.returncode, done.stdout, done.stderr), "read-short", 4)
    nothing_written(tmp_path)


@pytest.mark.parametrize(
    "command", [["audit", "--json", "-"], ["inspect"], ["inspect", "--json"], ["diff"]]
)
def test_a_reader_that_leaves_early_is_no_error(command: list[str], family: Mapping[str, Path]) -> None:
    name, *options = command
    models = {"audit": [family["C"], "-p", family["A"]], "inspect": [family["C"]]}
    given = models.get(name, [family["C"], family["A"]])
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [*SPAWN, name, *given, *options], stdout=pipe, stderr=subprocess.PIPE, check=False, timeout=300
        )
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_leaves_early_does_not_hide_the_condition(family: Mapping[str, Path]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [*SPAWN, "audit", family["C"], "-p", family["A"], "-p", family["O"],
             "--fail-on", "linear-merge"],
            stdout=pipe, stderr=subprocess.PIPE, check=False, timeout=300,
        )  # fmt: skip
    assert done.returncode == 5
    assert b"error[fail-on]" in done.stderr
