"""The audit: what it says where the tools find something, find nothing, or cannot find out. The tools are stand-ins."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "packaging" / "audit.py"
spec = spec_from_file_location("audit", SCRIPT)
assert spec is not None
assert spec.loader is not None
script = module_from_spec(spec)
spec.loader.exec_module(script)
NAMES: list[str] = script.closure("counterpoise")
WEAK = [{"id": "CVE-1", "fix_versions": ["2.5"]}]
# A tool of the audit itself, which lies in the same environment: what is said of it does not matter.
TOOL = "pip-audit"


def told(**changed: dict[str, Any]) -> dict[str, Any]:
    """What pip-audit says: nothing against any package, but for those `changed`."""
    harmless: dict[str, Any] = {"version": "2.4", "vulns": []}
    packages = dict.fromkeys(NAMES, harmless) | {TOOL: {"version": "1", "vulns": WEAK}} | changed
    return {"dependencies": [{"name": name, **what} for name, what in packages.items()]}


CLEAN = told()
FOUND = told(numpy={"version": "2.4", "vulns": WEAK})
SKIPPED = told(numpy={"skip_reason": "Dependency not found"})
UNTOLD = {"dependencies": [each for each in CLEAN["dependencies"] if each["name"] != "numpy"]}
LICENCES = dict.fromkeys(NAMES, "MIT") | {"numpy": "BSD-3-Clause AND 0BSD AND MIT", "namex": "UNKNOWN"}
MATERIALS = {
    "components": [{"bom-ref": f"{name}==1", "name": name} for name in (*NAMES, TOOL)],
    "dependencies": [
        {"ref": f"{name}==1", "dependsOn": ["numpy==1", f"{TOOL}==1"]} if name == "scipy" else {"ref": f"{name}==1"}
        for name in (*NAMES, TOOL)
    ],
}


def tool(folder: Path, name: str, out: str, err: str = "", code: int = 0) -> None:
    """A program that says so."""
    path = folder / name
    path.write_text(
        f"#!{sys.executable}\nimport sys\nsys.stdout.write({out!r})\nsys.stderr.write({err!r})\nsys.exit({code})\n"
    )
    path.chmod(0o755)


def audited(folder: Path, audit: tuple[str, str, int], licences: dict[str, str]) -> tuple[int, str]:
    """Exit code and output where pip-audit says that (out, err, code), and the packages have these licences."""
    tools = folder / "tools"
    tools.mkdir()
    tool(tools, "pip-audit", *audit)
    tool(tools, "pip-licenses", json.dumps([{"Name": name, "License": told} for name, told in licences.items()]))
    tool(tools, "cyclonedx-py", json.dumps(MATERIALS))
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
        ((json.dumps(SKIPPED), "No known", 0), 0, "::warning::NOT AUDITED in whole: nothing is known of 1 of"),
        ((json.dumps(UNTOLD), "No known", 0), 0, "::warning::NOT AUDITED in whole: nothing is known of 1 of"),
    ],
    ids=["clean", "found", "no network", "no data", "not told of"],
)  # fmt: skip
def test_findings_fail_and_what_could_not_be_found_out_is_said_aloud(
    audit: tuple[str, str, int], code: int, said: str, tmp_path: Path
) -> None:
    found, told = audited(tmp_path, audit, LICENCES)
    assert said in told
    assert found == code, told


def test_a_licence_that_is_not_on_the_list_fails(tmp_path: Path) -> None:
    licences = LICENCES | {"rich": "GPL-3.0 OR MIT", "scipy": "MIT AND SSPL-1.0"}
    del licences["psutil"]
    found, told = audited(tmp_path, (json.dumps(CLEAN), "", 0), licences)
    assert found == 1
    assert "::error::a licence that is not on the list: scipy: MIT AND SSPL-1.0" in told
    assert "::error::a licence that is not on the list: psutil: none told" in told
    assert told.count("::error::") == 2


def test_the_bill_of_materials_is_of_the_install_and_not_of_the_tools_beside_it(tmp_path: Path) -> None:
    assert audited(tmp_path, (json.dumps(CLEAN), "", 0), LICENCES)[0] == 0
    bill = json.loads((tmp_path / "build" / "sbom.json").read_text())
    assert [part["name"] for part in bill["components"]] == NAMES
    needs = {each["ref"]: each["dependsOn"] for each in bill["dependencies"]}
    assert needs.keys() == {f"{name}==1" for name in NAMES}
    assert needs["scipy==1"] == ["numpy==1"]


def test_what_a_later_requirement_asks_of_a_package_that_is_there_already_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {
        "top": ["Mid_Dle", "last"], "mid.dle": ["top[never]", 'deep; extra == "x"'], "last": ["mid-dle[x]"],
        "deep": ["for-another-system"], "apart": [],
    }  # fmt: skip
    for name, required in needs.items():
        home = tmp_path / f"{name}-1.dist-info"
        home.mkdir()
        lines = [f"Name: {name}", "Version: 1", *(f"Requires-Dist: {each}" for each in required)]
        (home / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
    monkeypatch.syspath_prepend(tmp_path)
    assert script.closure("top") == ["deep", "last", "mid-dle", "top"]
