"""`bench recommend --on` for a run of a GPU, whose peaks are not measured."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.analyse.appraise import Asked
from bench.errors import UserError
from bench.runner.advise import Means, advise
from tests.analyse.machines import artifact
from tests.kept_runs import keep, observed, row_of


def test_a_run_of_a_gpu_is_not_projected_from_the_peaks_of_the_cpu(tmp_path: Path) -> None:
    seen = observed("fp32", 80.0)
    row = msgspec.structs.replace(row_of(seen), artifact=artifact())
    on_gpu = msgspec.structs.replace(row, case=msgspec.structs.replace(row.case, provider="cuda"))
    run = keep(tmp_path / "results", "20260101-000000-s-aa", [on_gpu], [seen])
    progress: list[str] = []
    with pytest.raises(UserError, match="only the peaks of a CPU are measured"):
        advise(run, Asked(), means=Means(on="nvidia-t4"), progress=progress.append)
    assert not progress, "nothing was measured for it"
