"""Which peaks the rows of a run are held against: those of a CPU as measured, those of a GPU only as stated."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.analyse.appraise import Asked
from bench.analyse.choices import choices_of
from bench.analyse.cost import terms_for
from bench.errors import UserError
from bench.machine.environment import read_environment
from bench.record.codec import json_bytes
from bench.runner.advise import Means, advise
from bench.runner.bill import shares
from bench.runner.limits import peaks_for
from bench.runner.peaks import machine as peaks_module
from bench.runner.reopen import reopen
from tests.analyse.machines import artifact, machine
from tests.kept_runs import keep, observed, row_of

SLOW = """
name = "slow"
title = "A box slower than this machine"
kind = "cpu"
providers = ["onnxruntime-cpu"]
cores = { value = 4, source = "by hand", date = 2026-11-01 }
peak.fp32 = { value = PEAK, source = "by hand", date = 2026-11-01 }
memory.size = { value = 1e9, source = "by hand", date = 2026-11-01 }
memory.bandwidth = { value = 1e13, source = "by hand", date = 2026-11-01 }
"""


def test_a_run_of_a_gpu_is_not_projected_from_the_peaks_of_the_cpu(tmp_path: Path) -> None:
    seen = observed("fp32", 80.0)
    row = msgspec.structs.replace(row_of(seen), artifact=artifact())
    on_gpu = msgspec.structs.replace(row, case=msgspec.structs.replace(row.case, provider="cuda"))
    run = keep(tmp_path / "results", "20260101-000000-s-aa", [on_gpu], [seen])
    progress: list[str] = []
    with pytest.raises(UserError, match="only the peaks of a CPU are measured"):
        advise(run, Asked(), means=Means(on="nvidia-t4"), progress=progress.append)
    assert not progress, "nothing was measured for it"
    with pytest.raises(UserError, match="only the peaks of a CPU are measured"):
        peaks_for(read_environment(), [on_gpu], None, progress.append)
    assert not progress


def test_a_run_of_a_cpu_is_projected_from_the_peaks_that_are_kept_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE_DIR", str(tmp_path / "cache"))
    seen = observed("fp32", 80.0)
    row = msgspec.structs.replace(row_of(seen), artifact=artifact())
    run = keep(tmp_path / "results", "20260101-000000-s-aa", [row], [seen])
    kept = peaks_module._path(read_environment())
    kept.parent.mkdir(parents=True)
    kept.write_bytes(json_bytes(machine()))
    progress: list[str] = []
    found = advise(run, Asked(), means=Means(on="server-cpu-avx2"), progress=progress.append)
    assert not progress, "nothing was measured for it"
    (candidate,) = found.candidates
    assert candidate.choice.figures["p50_latency"].how.startswith("projected:from here by the roofline")


@pytest.mark.parametrize(("peak", "beaten"), [("1e9", True), ("1e12", False)])
def test_a_share_over_the_whole_is_none_and_doubts_the_profile(tmp_path: Path, peak: str, beaten: bool) -> None:
    seen = observed("fp32", 80.0)
    row = msgspec.structs.replace(row_of(seen), artifact=artifact())
    run = reopen(keep(tmp_path / "results", "20260101-000000-s-aa", [row], [seen]))
    (tmp_path / "slow.toml").write_text(SLOW.replace("PEAK", peak))
    terms = terms_for(run.manifest, str(tmp_path / "slow.toml"), None, None)
    (share,) = shares(choices_of(run.manifest, run.rows), run.rows, terms, run.manifest.environment).values()
    if beaten:
        assert share.reason == "the limit was beaten: the peaks of slow are not those of the machine"
    else:
        # Two million operations on one of four cores, in 80 µs.
        assert share.value == pytest.approx(0.1, rel=0.02)
