"""What an installed copy stands on: its bill of materials, the licences of it, and what is known against it.

`tox -e audit` runs it. All three are of the default install, not of the tools that tell of it and lie beside it. It
exits 1 where a licence is not on the list or not told, or a package has a known vulnerability. Where the data of
vulnerabilities cannot be reached it says so as a warning and passes on: that is not the fault of the code.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = "counterpoise"
BUILD = Path("build")
ALLOWED = (
    "0BSD", "3-Clause BSD License", "Apache License 2.0", "Apache Software License", "Apache-2.0", "BSD License",
    "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "ISC License (ISCL)", "MIT", "MIT License", "MIT-CMU", "MPL-2.0",
    "Mozilla Public License 2.0 (MPL 2.0)", "PSF-2.0", "Python Software Foundation License", "Unlicense", "Zlib",
)  # fmt: skip
KNOWN = {"namex": "Apache-2.0"}
"""Packages whose metadata name no licence, and the one in their repository."""
_TIMEOUT_S = 600


def closure(name: str) -> list[str]:
    """The package and all that its default install brings, by normal name, as far as it is installed here."""
    # By what is asked of it too: a later requirement may ask for an extra of a package that is there already.
    found: set[tuple[str, str]] = set()
    todo = [(name, "")]
    while todo:
        at, extra = todo.pop()
        if (canonicalize_name(at), extra) in found:
            continue
        try:
            needs = distribution(at).requires or []
        except PackageNotFoundError:
            continue  # for another system, or another Python
        found.add((canonicalize_name(at), extra))
        for need in map(Requirement, needs):
            if need.marker is None or need.marker.evaluate({"extra": extra}):
                todo += [(need.name, each) for each in ("", *need.extras)]
    return sorted({name for name, _ in found})


def not_allowed(licences: Mapping[str, str]) -> list[str]:
    """`NAME: LICENCE` of each package that has one which is not on the list, or none."""
    return [f"{name}: {licence}" for name, licence in licences.items() if not _is_allowed(KNOWN.get(name, licence))]


def _is_allowed(licence: str) -> bool:
    """Of what is joined by AND or a semicolon all, of what is joined by OR one."""
    allowed = {name.strip(" ()") for name in ALLOWED}
    parts = re.split(r"\s+AND\s+|\s*;\s*", licence)
    return all(any(one.strip(" ()") in allowed for one in re.split(r"\s+OR\s+", part)) for part in parts)


def licences_of(names: Collection[str]) -> dict[str, str]:
    """The licence of each package by normal name, as pip-licenses tells it; none where it tells nothing."""
    # It leaves out some packages, such as setuptools, unless it is asked for those of the system.
    command = ("pip-licenses", "--with-system", "--from", "mixed", "--format", "json", "--packages", *names)
    told = {canonicalize_name(each["Name"]): each["License"] for each in _json(*command)}
    return {name: told.get(canonicalize_name(name), "none told") for name in names}


def write_materials(names: Collection[str]) -> Path:
    """The bill of materials of these packages in CycloneDX, by cyclonedx-bom, which tells of all that is installed.

    Raises KeyError where it tells nothing of one of them.
    """
    told = _json("cyclonedx-py", "environment", "--of", "JSON")
    by_name: dict[str, Any] = {canonicalize_name(part["name"]): part for part in told["components"]}
    told["components"] = [by_name[name] for name in names]
    there = {part["bom-ref"] for part in told["components"]}
    told["dependencies"] = [
        at | {"dependsOn": [each for each in at.get("dependsOn", []) if each in there]}
        for at in told["dependencies"]
        if at["ref"] in there
    ]
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "sbom.json"
    path.write_text(json.dumps(told, indent=2), encoding="utf-8")
    return path


def vulnerabilities(names: Collection[str]) -> tuple[list[str], str | None]:
    """What pip-audit knows against these packages, and why it does not know all, or None."""
    command = ["pip-audit", "--format", "json", "--progress-spinner", "off", "--local"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        told = [each for each in json.loads(done.stdout)["dependencies"] if canonicalize_name(each["name"]) in names]
    except subprocess.TimeoutExpired:
        return [], f"pip-audit did not end within {_TIMEOUT_S} s"
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
    found = [
        f"{each['name']} {each['version']}: {one['id']} (mended in {', '.join(one['fix_versions']) or 'no version'})"
        for each in told
        for one in each.get("vulns", [])
    ]
    # The package itself is on no index, and is not what is asked about.
    known = {canonicalize_name(each["name"]) for each in told if "skip_reason" not in each} | {ROOT}
    unknown = [name for name in names if name not in known]
    return found, f"nothing is known of {len(unknown)} of {len(names)} packages" if unknown else None


def _json(*command: str) -> Any:
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=_TIMEOUT_S).stdout)


def main() -> int:
    """The exit code."""
    names = closure(ROOT)
    licences = licences_of(names)
    wrong = not_allowed(licences)
    print(f"licences of the {len(licences)} packages of the default install:")
    for name, licence in sorted(licences.items(), key=lambda item: item[0].lower()):
        print(f"  {name:28} {licence}" + (f" ({KNOWN[name]} by its repository)" if name in KNOWN else ""))
    for line in wrong:
        print(f"::error::a licence that is not on the list: {line}")
    print(f"bill of materials: {write_materials(names)}")
    found, unknown = vulnerabilities(names)
    for line in found:
        print(f"::error::known vulnerability: {line}")
    if unknown is not None:
        print(f"::warning::NOT AUDITED in whole: {unknown}")
    elif not found:
        print("no known vulnerability")
    return 1 if wrong or found else 0


if __name__ == "__main__":
    sys.exit(main())
