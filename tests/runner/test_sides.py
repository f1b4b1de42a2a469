"""What can be compared: models and bundles, another Python, revisions of a project."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import msgspec
import numpy as np
import onnxruntime
import psutil
import pytest

from bench.errors import UserError
from bench.record.artifact import Bundle
from bench.record.observation import Failure
from bench.runner.pythons import check_targets, open_python
from bench.runner.revisions import CommandSide, checked_out, run_command
from bench.runner.sides import Asked, ModelSide, open_models, open_revisions, parted
from bench.runtimes.table import targets, unavailable
from bench.suite.schema import Measure

SHORT = Measure(warmup_min_s=0.05, warmup_max_s=0.1, min_s=0.05, max_s=0.1)
OTHER_VERSION = "0.0.1+other"


class Quiet:
    def stage(self, text: str, share: float | None = None, *, passing: bool = False) -> None: ...
    def begin(self, total: int, done: int) -> None: ...
    def case(self, case: object, invocation: int) -> None: ...
    def progress(self, phase: str, samples: int, median_s: float) -> None: ...
    def done(self, row: object) -> None: ...


def silent(phase: str, samples: int, median_s: float) -> None: ...


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with nothing in it."""
    folder = tmp_path_factory.mktemp("bare") / "venv"
    venv.create(folder, symlinks=True)
    return folder


@pytest.fixture(scope="module")
def other_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with what measuring needs and an ONNX Runtime that says it is of another version."""
    folder = tmp_path_factory.mktemp("other") / "venv"
    venv.create(folder, symlinks=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for package in (msgspec, np):
        home = Path(package.__file__).parent
        for part in (home, home.with_name(f"{home.name}.libs")):
            if part.exists():
                (site / part.name).symlink_to(part)
    (site / "onnxruntime").mkdir()
    for part in Path(onnxruntime.__file__).parent.iterdir():
        if part.name != "__init__.py":
            (site / "onnxruntime" / part.name).symlink_to(part)
    code = Path(onnxruntime.__file__).read_text(encoding="utf-8")
    (site / "onnxruntime" / "__init__.py").write_text(f'{code}\n__version__ = "{OTHER_VERSION}"\n', encoding="utf-8")
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git project in the current folder, whose second revision sleeps longer than its first."""
    folder = tmp_path / "project"
    (folder / "part").mkdir(parents=True)
    monkeypatch.chdir(folder)
    who = {f"GIT_{role}_{what}": "test@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    for command in (["init", "-q"], ["config", "core.hooksPath", os.devnull]):
        subprocess.run(["git", *command], check=True)
    for revision, seconds in (("first", 0.02), ("second", 0.06)):
        (folder / "part" / "work.sh").write_text(f"sleep {seconds}; echo {revision}\n")
        subprocess.run(["git", "add", "."], check=True)
        subprocess.run(["git", "commit", "-q", "-m", revision], env={**os.environ, **who}, check=True)
        subprocess.run(["git", "tag", revision], check=True)
    return folder


# models and bundles


def test_cases_of_bundles_are_matched_by_variant_and_those_without_partner_are_named(
    digits_bundle: tuple[Path, Bundle],
) -> None:
    bundle = str(digits_bundle[0])
    with open_models(Asked(a=bundle, b=bundle, measure=SHORT), Quiet()) as opened:
        assert set(opened.cases) == {
            f"{variant}/{target}/t1/b1/single-stream"
            for variant in ("fp32", "int8")
            for target in ("onnxruntime-cpu", "litert-xnnpack")
        }
        assert any("same artifact" in note for note in opened.notes)
    one = Asked(a=bundle, b=f"{bundle}/int8", targets=("onnxruntime-cpu",), measure=SHORT)
    with open_models(one, Quiet()) as opened:
        assert opened.cases == ("int8/onnxruntime-cpu/t1/b1/single-stream",)
        assert "fp32/onnxruntime-cpu/t1/b1/single-stream: only in A" in opened.notes


def test_two_variants_are_compared_where_each_side_has_one(digits_bundle: tuple[Path, Bundle]) -> None:
    bundle = digits_bundle[0]
    (onnx,) = [a.path for a in digits_bundle[1].artifacts if (a.variant, a.format) == ("fp32", "onnx")]
    asked = Asked(a=str(bundle / onnx), b=f"{bundle}/int8", measure=SHORT)
    with open_models(asked, Quiet()) as opened:
        assert opened.cases == ("onnxruntime-cpu/t1/b1/single-stream",)
        for side in (opened.a, opened.b):
            found = side.measure(opened.cases[0], 0, silent)
            assert not isinstance(found, Failure), found
            assert found["p50_latency"] > 0
        assert "litert-xnnpack: only B runs on it" in opened.notes


def test_sides_without_a_case_in_common_are_refused_with_what_each_lacks(digits_bundle: tuple[Path, Bundle]) -> None:
    folder, bundle = digits_bundle
    (onnx,) = [folder / a.path for a in bundle.artifacts if (a.variant, a.format) == ("fp32", "onnx")]
    with (
        pytest.raises(UserError, match=r"no case in common: .* has no int8 for onnxruntime-cpu") as refused,
        open_models(Asked(a=str(onnx), b=f"{onnx}/int8", measure=SHORT), Quiet()),
    ):
        pass
    assert "no calibration data" in str(refused.value)


def test_a_runtime_that_is_not_here_is_refused_where_it_was_asked_for(digits_bundle: tuple[Path, Bundle]) -> None:
    absent = next(target for target in targets() if unavailable(target) is not None)
    given = str(digits_bundle[0])
    with pytest.raises(UserError) as refused, open_models(Asked(a=given, b=given, targets=(absent,)), Quiet()):
        pass
    assert unavailable(absent) in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (Asked(a="BUNDLE", b="BUNDLE/int4"), "int4"),
        (Asked(a="BUNDLE", b="BUNDLE", targets=("onnxruntim-cpu",)), "did you mean 'onnxruntime-cpu'"),
        (Asked(a="BUNDLE", b="BUNDLE", data="x.npz"), "their own data"),
        (Asked(a="ONNX", b="TFLITE"), "no runtime reads both"),
        (Asked(a="BUNDLE", b="BUNDLE", python_b="nowhere/python"), "no Python interpreter"),
    ],
)
def test_what_cannot_be_compared_is_refused(digits_bundle: tuple[Path, Bundle], asked: Asked, said: str) -> None:
    folder, bundle = digits_bundle
    files = {a.format.upper(): str(folder / a.path) for a in bundle.artifacts if a.variant == "fp32"}

    def settled(given: str) -> str:
        return files.get(given, given.replace("BUNDLE", str(folder)))

    asked = msgspec.structs.replace(asked, a=settled(asked.a), b=settled(asked.b))
    with pytest.raises(UserError) as refused, open_models(asked, Quiet()):
        pass
    assert said in str(refused.value)


def test_a_variant_is_told_from_a_path(tmp_path: Path) -> None:
    (tmp_path / "int8").mkdir()
    assert parted("mnist_cnn@digits/int8") == ("mnist_cnn@digits", "int8")
    assert parted(str(tmp_path / "int8")) == (str(tmp_path / "int8"), None)
    assert parted("models/my.onnx") == ("models/my.onnx", None)
    assert parted("my.zip/mine") == ("my.zip", "mine")


# another Python


def test_two_versions_of_a_runtime_are_each_measured_in_their_own_python(
    digits_bundle: tuple[Path, Bundle], other_python: Path
) -> None:
    bundle = f"{digits_bundle[0]}/fp32"
    asked = Asked(a=bundle, b=bundle, python_b=str(other_python), targets=("onnxruntime-cpu",), measure=SHORT)
    with open_models(asked, Quiet()) as opened:
        (case,) = opened.cases
        assert not any("same artifact" in note for note in opened.notes)
        for side in (opened.a, opened.b):
            found = side.measure(case, 0, silent)
            assert not isinstance(found, Failure), found
        assert isinstance(opened.a, ModelSide)
        assert isinstance(opened.b, ModelSide)
        assert f"onnxruntime {onnxruntime.__version__}" in opened.a.versions
        assert f"onnxruntime {OTHER_VERSION}" in opened.b.versions
        assert opened.a.name != opened.b.name


def test_what_is_measured_by_two_other_pythons_need_not_be_here(
    digits_bundle: tuple[Path, Bundle], other_python: Path
) -> None:
    bundle, python = f"{digits_bundle[0]}/fp32", str(other_python)
    asked = Asked(a=bundle, b=bundle, python_a=python, python_b=python, targets=("onnxruntime-cpu",), measure=SHORT)
    with open_models(asked, Quiet()) as opened:
        assert opened.cases == ("onnxruntime-cpu/t1/b1/single-stream",)
        assert not any("not installed" in note for note in opened.notes)


def test_a_python_that_is_too_old_is_refused(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho '[[3, 8, 20], []]'\n")
    old.chmod(0o755)
    with pytest.raises(UserError, match=r"this Python is 3\.8\.20, measuring needs 3\.11 or newer"):
        open_python(str(old), tmp_path / "link", "--python-a")


def test_another_python_finds_the_harness_and_nothing_else_of_this_one(other_python: Path, tmp_path: Path) -> None:
    python = open_python(str(other_python / "bin" / "python"), tmp_path / "link", "--python-b")
    assert [part.name for part in Path(python.search).iterdir()] == ["bench"]
    with pytest.raises(UserError, match="cannot import what measuring needs: ai_edge_litert") as refused:
        check_targets(python, ["litert-xnnpack"], "--python-b")
    assert "onnxruntime" not in str(refused.value)


def test_what_another_python_lacks_is_named(bare_python: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        open_python(str(bare_python), tmp_path / "link", "--python-a")
    assert "msgspec" in str(refused.value)
    assert "numpy" in str(refused.value)
    assert "--python-a" in str(refused.value)


def test_what_is_no_python_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not answer"):
        open_python("/bin/false", tmp_path / "link", "--python-a")


# revisions


def test_each_revision_is_checked_out_prepared_once_and_gone_afterwards(project: Path) -> None:
    with open_revisions(
        "cat prepared; sh part/work.sh", ("first", "HEAD"), Quiet(), preparation="echo x >> prepared", timeout_s=60
    ) as opened:
        assert opened.a.name.startswith("first (")
        for side in (opened.a, opened.b):
            found = [side.measure(opened.cases[0], at, silent) for at in range(2)]
            assert all(not isinstance(one, Failure) for one in found), found
        folders = [line.split()[0] for line in git("worktree", "list")]
        assert len(folders) == 3
        assert (Path(folders[1]) / "prepared").read_text() == "x\n"
    assert len(git("worktree", "list")) == 1
    assert not Path(folders[1]).exists()
    assert not (project / "prepared").exists()


def test_worktrees_are_gone_after_ctrl_c_too(project: Path, tmp_path: Path) -> None:
    def interrupted() -> None:
        with checked_out(("first", "second"), tmp_path / "trees") as (a, b):
            assert a[1].is_dir()
            assert b[1].is_dir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert len(git("worktree", "list")) == 1
    assert list((tmp_path / "trees").iterdir()) == []


def test_in_a_subfolder_the_same_subfolder_of_the_revision_is_used(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project / "part")
    with checked_out(("first", "second"), tmp_path / "trees") as (a, b):
        assert "first" in (a[1] / "work.sh").read_text()
        assert "second" in (b[1] / "work.sh").read_text()


def test_a_subfolder_that_a_revision_does_not_have_is_refused(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "new").mkdir()
    monkeypatch.chdir(project / "new")
    with (
        pytest.raises(UserError, match="the folder new/ does not exist in that revision"),
        checked_out(("first", "second"), tmp_path / "trees"),
    ):
        pass
    assert len(git("worktree", "list")) == 1


def test_a_revision_that_does_not_exist_is_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such revision") as refused, checked_out(("first", "third"), tmp_path):
        pass
    assert "--rev-b third" in str(refused.value)
    assert len(git("worktree", "list")) == 1


def test_a_preparation_that_fails_is_refused_with_what_it_said(project: Path) -> None:
    with (
        pytest.raises(UserError, match="no compiler here"),
        open_revisions("true", ("first", "second"), Quiet(), preparation="echo no compiler here; false", timeout_s=60),
    ):
        pass
    assert len(git("worktree", "list")) == 1


def test_the_kernels_figures_are_those_of_the_command(tmp_path: Path) -> None:
    busy = f"{sys.executable} -c 'x = bytearray(80 << 20); sum(range(3_000_000))'"
    idle, work = run_command("sleep 0.3", tmp_path, 60), run_command(busy, tmp_path, 60)
    assert not isinstance(idle, Failure)
    assert not isinstance(work, Failure)
    assert idle["wall_time"] >= 0.3
    assert idle["cpu_time"] < 0.15 < idle["wall_time"]
    assert work["cpu_time"] > idle["cpu_time"]
    assert work["peak_rss"] > 80 << 20
    # A process begins with the mark of the one that started it, which must not be this one.
    assert idle["peak_rss"] < psutil.Process().memory_info().rss / 2


def test_a_command_sees_the_environment_of_the_user_and_not_that_of_a_worker(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import os; assert 'PYTHONSAFEPATH' not in os.environ")
    assert not isinstance(run_command(f"{sys.executable} -m mine", tmp_path, 60), Failure)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo went wrong; exit 3", "exit code 3"),
        ("kill -SEGV $$", "signal 11"),
        ("sleep 60", "ended after 0.5 s"),
        ("kill -TERM $PPID; sleep 60", "the process crashed with SIGTERM during the command"),
    ],
)
def test_a_command_that_fails_says_how_and_what_it_printed(tmp_path: Path, command: str, said: str) -> None:
    failed = CommandSide("old", command, tmp_path, 0.5 if command == "sleep 60" else 60).measure("x", 0, silent)
    assert isinstance(failed, Failure)
    assert said in failed.reason
    if "wrong" in command:
        assert failed.tail == "went wrong"


def git(*arguments: str) -> list[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.splitlines()
