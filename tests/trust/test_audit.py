"""The audit: what it says where the tools find something, find nothing, or cannot find out. The tools are stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "packaging" / "audit.py"
CLEAN: dict[str, Any] = {"dependencies": [{"name": "numpy", "version": "2.4", "vulns": []}]}
FOUND: dict[str, Any] = {
    "dependencies": [{"name": "numpy", "version": "2.4", "vulns": [{"id": "CVE-1", "fix_versions": ["2.5"]}]}]
}
SKIPPED: dict[str, Any] = {"dependencies": [{"name": "numpy", "skip_reason": "Dependency not found"}]}
LICENCES = [{"Name": "numpy", "License": "BSD-3-Clause AND 0BSD AND MIT"}, {"Name": "namex", "License": "UNKNOWN"}]


def tool(folder: Path, name: str, out: str, err: str = "", code: int = 0) -> None:
    """A program that says so."""
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdout.write({out!r})\nsys.stderr.write({err!r})\nsys.exit({code})\n"
    )
    path.chmod(0o755)


def audited(folder: Path, audit: tuple[str, str, int], licences: list[dict[str, str]]) -> tuple[int, str]:
    """Exit code and output where pip-audit says that (out, err, code), and the packages have these licences."""
    tools = folder / "tools"
    tools.mkdir()
    tool(tools, "pip-audit", *audit)
    tool(tools, "pip-licenses", json.dumps(licences))
    tool(tools, "cyclonedx-py", "")
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, str(SCRIPT)],
        cwd=folder,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("audit", "code", "said"),
    [
        ((json.dumps(CLEAN), "No known vulnerabilities found", 0), 0, "no known vulnerability"),
        ((json.dumps(FOUND), "Found 1", 1), 1, "::error::known vulnerability: numpy 2.4: CVE-1 (mended in 2.5)"),
        (("", "ERROR:pip_audit:ConnectionError: no route", 1), 0, "::warning::NOT AUDITED in whole: ERROR:pip_audit:"),
        ((json.dumps(SKIPPED), "No known", 0), 0, "::warning::NOT AUDITED in whole: nothing is known of 1 of 1"),
    ],
    ids=["clean", "found", "no network", "no data"],
)  # fmt: skip
def test_findings_fail_and_what_could_not_be_found_out_is_said_aloud(
    audit: tuple[str, str, int], code: int, said: str, tmp_path: Path
) -> None:
    found, told = audited(tmp_path, audit, LICENCES)
    assert said in told
    assert found == code, told


def test_a_licence_that_is_not_on_the_list_fails(tmp_path: Path) -> None:
    strange = [{"Name": "good", "License": "GPL-3.0 OR MIT"}, {"Name": "odd", "License": "MIT AND SSPL-1.0"}]
    found, told = audited(tmp_path, (json.dumps(CLEAN), "", 0), [*LICENCES, *strange])
    assert found == 1
    assert "::error::a licence that is not on the list: odd: MIT AND SSPL-1.0" in told
    assert told.count("::error::") == 1
