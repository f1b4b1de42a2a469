"""The sampler must not move what it watches."""

from __future__ import annotations

from collections.abc import Callable

from bench.runner.selftest import Check, selftest

ROUNDS = 10


def test_the_median_is_the_same_with_and_without_the_sampler(benchmark: Callable[..., object]) -> None:
    """Paired and interleaved: the ratio's 95 % interval contains 1, or lies within 1.01."""
    checks: tuple[Check, ...] = benchmark.pedantic(  # type: ignore[attr-defined]
        lambda: selftest(ROUNDS, lambda text: None), rounds=1, iterations=1
    )
    (probe,) = [check for check in checks if check.name.startswith("probe effect")]
    benchmark.extra_info.update({check.name: check.measured for check in checks})  # type: ignore[attr-defined]
    assert probe.passed, probe
