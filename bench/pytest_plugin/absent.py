"""What there is without pytest-benchmark: the reason."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

REASON = "needs pytest-benchmark: pip install 'counterpoise[pytest]'"


class UnreadSuite(pytest.File):
    """A suite that is not measured: refused where it was asked for by name, else skipped."""

    def collect(self) -> Iterable[pytest.Item]:
        """No test. Raises pytest's own words for both."""
        reason = f"the suite {self.name} {REASON}"
        if self.session.isinitpath(self.path):
            raise self.CollectError(reason)
        pytest.skip(reason, allow_module_level=True)


@pytest.fixture
def bench_case() -> None:
    """Measure a case (needs pytest-benchmark, which is not loaded)."""
    pytest.fail(f"bench_case {REASON}", pytrace=False)
