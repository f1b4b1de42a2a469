"""Tests that fail where what they measured got worse than a baseline."""

from __future__ import annotations

from pathlib import Path

import project
import pytest

pytest_plugins = ["pytester"]

FP32 = "model/fp32/onnxruntime-cpu/t1/b1/single-stream"
BATCH = "model/fp32/onnxruntime-cpu/t1/b2/single-stream"


def marked(rules: str, invocations: int = 1) -> str:
    """A Python test with a gate."""
    return f"""
import pytest

@pytest.mark.bench_gate({rules})
def test_speed(bench_case):
    row = bench_case("model.onnx", batch=2, measure={project.BRIEF | {"invocations": invocations}})
    assert row.status == "ok"
"""


FILES = {
    "dense.bench.toml": project.suite(["fp32"]) + '[gate]\nsize = "10%"\n',
    "test_speed.py": marked('p50_latency="50%"', invocations=3),
}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the project, to hold later ones against. The baseline that its configuration names is still to come."""
    folder = project.make(tmp_path_factory.mktemp("before"), FILES, ini="bench_baseline = first")
    done = project.run_pytest(folder, "--bench-out", "results")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("GateWarning") == 2
    assert "missing: the baseline has no such case" in done.stdout
    (run,) = (folder / "results").iterdir()
    return run


def test_a_model_that_got_worse_fails_by_the_suites_gate_and_by_the_marker(
    before: Path, pytester: pytest.Pytester
) -> None:
    project.make(pytester.path, FILES, width=1024)
    code, told = project.inside(pytester, "--bench-baseline", str(before), "--junit-xml", "all.xml")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "2 failed" in told
    assert f"{FP32}: size 10%: regressed: " in told
    assert f"{BATCH}: p50_latency 50%: regressed: " in told
    assert "measured once more" in told
    assert f"baseline: {before.name}" in told
    assert "bench/pytest_plugin" not in told
    assert 'value="regressed"' in (pytester.path / "all.xml").read_text()


def test_the_same_model_passes_a_strict_gate(before: Path, pytester: pytest.Pytester) -> None:
    project.make(pytester.path, {"test_speed.py": marked('size="0%"')}, ini=f"bench_baseline = {before}")
    code, told = project.inside(pytester, "--bench-strict")
    assert code == 0, told


def test_without_a_baseline_a_strict_gate_fails_by_what_needs_one_and_not_by_a_budget(
    pytester: pytest.Pytester,
) -> None:
    project.make(pytester.path, {"test_size.py": marked('size="1%"'), "test_budget.py": marked('size="<= 1MB"')})
    code, told = project.inside(pytester, "--bench-strict")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "FAILED tests/test_size.py::test_speed" in told
    assert f"{BATCH}: size 1%: missing" in told
    assert "PASSED tests/test_budget.py::test_speed" in told


def test_a_baseline_of_the_command_line_that_is_not_there_fails_the_test(pytester: pytest.Pytester) -> None:
    project.make(pytester.path, {"test_size.py": marked('size="1%"')})
    code, told = project.inside(pytester, "--bench-baseline", "misspelt")
    assert code == pytest.ExitCode.TESTS_FAILED
    assert "no run, baseline or file is named 'misspelt'" in told


def test_a_gated_test_that_measures_nothing_is_told(pytester: pytest.Pytester) -> None:
    text = marked('size="1%"').partition("    row")[0] + "    pass\n"
    project.make(pytester.path, {"test_size.py": text})
    code, told = project.inside(pytester)
    assert code == 0
    assert "nothing was measured" in told
    code, told = project.inside(pytester, "--bench-strict")
    assert code == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("marker", "uses", "told"),
    [
        ('p50_latencies="5%"', "bench_case", "did you mean 'p50_latency'"),
        ('p50_latency="5 apples"', "bench_case", "is no rule for p50_latency"),
        ("", "bench_case", "name the metric of every rule"),
        ('p50_latency="5%"', "tmp_path", "is for tests that use bench_case"),
    ],
)
def test_a_marker_that_would_hold_nothing_is_refused_before_anything_runs(
    pytester: pytest.Pytester, marker: str, uses: str, told: str
) -> None:
    text = f"import pytest\n\n@pytest.mark.bench_gate({marker})\ndef test_speed({uses}):\n    pass\n"
    project.make(pytester.path, {"test_speed.py": text})
    code, printed = project.inside(pytester)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert told in printed


def test_a_rule_for_a_case_that_has_another_name_now_is_told_and_refused_when_strict(
    pytester: pytest.Pytester,
) -> None:
    renamed = project.suite(["fp32"]) + '[gate."old_name/*"]\np50_latency = "5%"\n'
    project.make(pytester.path, {"dense.bench.toml": renamed})
    code, told = project.inside(pytester, "--benchmark-skip")
    assert code == 0
    assert "no case has such a name as the rule old_name/*" in told
    code, told = project.inside(pytester, "--bench-strict")
    assert code == pytest.ExitCode.INTERRUPTED


def test_a_baseline_is_looked_up_in_the_folder_of_runs_that_is_given(before: Path, pytester: pytest.Pytester) -> None:
    project.make(pytester.path, {"test_speed.py": marked('size="0%"')})
    code, told = project.inside(
        pytester, "--bench-strict", "--bench-results", str(before.parent), "--bench-baseline", before.name
    )
    assert code == 0, told
