"""A run and its lock: what is left where the disk gives none, and whose journal a complete part of a fleet has."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.errors import UserError
from bench.machine.environment import read_environment
from bench.runner import conduct
from bench.runner.plan import Request, plan_run
from bench.store import journal
from bench.store.manifest import read_manifest, write_manifest
from tests.kept_runs import keep, observed, row_of
from tests.trials.sides import Quiet


def test_a_run_that_gets_no_lock_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really = os.open

    def refusing(path: Any, *given: Any, **more: Any) -> int:
        if str(path).endswith(".lock"):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return really(path, *given, **more)

    planned = plan_run(Request(suite="quick", only=("*fp32*onnxruntime-cpu*",)))
    monkeypatch.setattr(os, "open", refusing)
    with pytest.raises(UserError, match="cannot write there"):
        conduct.start(planned, tmp_path, Quiet())  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fleet", [None, "20260101-000000-s-fleet-0001"])
def test_the_journal_of_a_complete_part_of_a_fleet_is_left_to_the_fleet(tmp_path: Path, fleet: str | None) -> None:
    seen = observed("fp32", 80.0)
    folder = keep(tmp_path, "20260101-000000-s-0001", [row_of(seen)], [seen])
    write_manifest(folder, msgspec.structs.replace(read_manifest(folder), fleet=fleet))
    journal.append(folder, seen)
    conduct.resume(folder, Quiet())  # type: ignore[arg-type]
    assert len(journal.files(folder)) == (0 if fleet is None else 1)


def test_a_machines_part_of_a_fleet_goes_on_with_the_fleet(tmp_path: Path) -> None:
    seen = observed("fp32", 80.0)
    folder = keep(tmp_path, "20260101-000000-s-0001", [row_of(seen)], [seen], status="interrupted")
    write_manifest(folder, msgspec.structs.replace(read_manifest(folder), fleet="20260101-000000-s-fleet-0001"))
    with pytest.raises(UserError, match="a machine's part of a fleet") as refused:
        conduct.resume(folder, Quiet())  # type: ignore[arg-type]
    assert "bench fleet run --resume 20260101-000000-s-fleet-0001" in str(refused.value.remedy)


@pytest.mark.parametrize("field", ["cpu_model", "architecture", "kernel"])
def test_a_run_does_not_go_on_on_another_machine(tmp_path: Path, field: str) -> None:
    here = read_environment()
    conduct.same_machine(here, here, tmp_path)
    with pytest.raises(UserError, match=f"{field} was abacus, is ") as refused:
        conduct.same_machine(msgspec.structs.replace(here, **{field: "abacus"}), here, tmp_path)
    assert "figures of two machines" in str(refused.value.remedy)
