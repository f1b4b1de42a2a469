"""The tool measured by itself."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from bench.errors import UserError
from bench.record.case import Case
from bench.record.observation import Failure, Observation
from bench.runner import selftest
from bench.runner.selftest import Check, _false_alarms, _median, _power, _probe_effect
from tests.conftest import bench

NOISE = (1.0, 1.003, 0.998, 1.001, 0.999, 1.002, 0.997, 1.0)


def slowed(share: float) -> list[float]:
    """The noise in another order, times a slow-down."""
    return [value * (1 + share) for value in NOISE[::-1]]


@pytest.mark.timeout(600)
def test_overhead_false_alarms_power_and_probe_effect_are_told_with_their_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brief = msgspec.structs.replace(selftest._PLAN, warmup_max_s=0.2, min_s=0.1, max_s=0.2)
    monkeypatch.setattr(selftest, "_PLAN", brief)
    # It takes seconds, and is shown in two ways.
    found = selftest.selftest(4, lambda text, *_, **__: None)
    monkeypatch.setattr(selftest, "selftest", lambda rounds, progress: found)
    done = bench("selftest", "--rounds", "4", "--json", cwd=tmp_path)
    assert done.returncode in (0, 1), done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)}
    assert len(checks) == 7
    assert (done.returncode == 1) == any(check["passed"] is False for check in checks.values())
    (overhead,) = [check for name, check in checks.items() if name.startswith("overhead")]
    assert overhead["passed"], overhead
    assert all(check["measured"] and check["bound"] for check in checks.values())
    drawn = bench("selftest", "--rounds", "4", cwd=tmp_path)
    assert drawn.returncode == done.returncode
    assert drawn.stdout.count("MISSED") == sum(check["passed"] is False for check in checks.values())
    assert drawn.stdout.count("holds") == sum(check["passed"] is True for check in checks.values())


def test_too_few_rounds_are_refused(tmp_path: Path) -> None:
    done = bench("selftest", "--rounds", "2", cwd=tmp_path)
    assert done.returncode == 2
    assert "--rounds" in done.stderr


def test_a_slow_down_that_is_there_is_seen_and_one_that_is_not_is_not() -> None:
    def verdict(share: float) -> Check:
        return _power(NOISE, slowed(share), 0.05)

    assert verdict(0.05).passed
    assert verdict(0.0).passed is False
    assert "×1.0500" in verdict(0.05).measured


def test_a_small_slow_down_is_told_and_not_asked_for() -> None:
    assert _power(NOISE, slowed(0.0), 0.02).passed is None


def test_the_same_on_both_sides_raises_few_alarms() -> None:
    check = _false_alarms([*NOISE, *slowed(0.0)])
    assert check.passed, check


def test_a_sampler_that_disturbs_is_found_out() -> None:
    assert _probe_effect(NOISE, slowed(0.001)).passed
    assert _probe_effect(NOISE, slowed(0.03)).passed is False


def test_too_few_rounds_to_tell_are_said_and_pass_nothing() -> None:
    check = _probe_effect([1.0], [1.0])
    assert check.passed is False
    assert "too few samples" in check.measured


def test_where_nothing_can_be_measured_the_reason_is_told() -> None:
    case = Case(model="trial", variant="fp32", runtime="onnxruntime", provider="cpu")
    failure = Failure(reason="out of memory (limit 1 MiB)", phase="load")
    with pytest.raises(UserError, match=r"the self-test cannot measure: out of memory \(limit 1 MiB\)"):
        _median(Observation(case=case, invocation=0, status="failed", failure=failure))
