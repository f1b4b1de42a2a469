"""What an installed copy stands on: its bill of materials, the licences of it, and what is known against it.

`tox -e audit` runs it. It exits 1 where a licence is not on the list or a package has a known vulnerability. Where the
data of vulnerabilities cannot be reached it says so as a warning and passes on: that is not the fault of the code.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

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
    found: set[str] = set()
    todo: list[tuple[str, frozenset[str]]] = [(name, frozenset())]
    while todo:
        at, extras = todo.pop()
        key = re.sub(r"[-_.]+", "-", at).lower()
        try:
            needs = distribution(at).requires or []
        except PackageNotFoundError:
            continue  # for another system, or another Python
        if key in found and not extras:
            continue
        found.add(key)
        for need in map(Requirement, needs):
            wanted = need.marker is None or any(need.marker.evaluate({"extra": each}) for each in extras | {""})
            name_again = re.sub(r"[-_.]+", "-", need.name).lower()
            if wanted and name_again not in found:
                todo.append((need.name, frozenset(need.extras)))
    return sorted(found)


def not_allowed(licences: Mapping[str, str]) -> list[str]:
    """`NAME: LICENCE` of each package that has one which is not on the list, or none."""
    return [f"{name}: {licence}" for name, licence in licences.items() if not _is_allowed(KNOWN.get(name, licence))]


def _is_allowed(licence: str) -> bool:
    """Of what is joined by AND or a semicolon all, of what is joined by OR one."""
    allowed = {name.strip(" ()") for name in ALLOWED}
    parts = re.split(r"\s+AND\s+|\s*;\s*", licence)
    return all(any(one.strip(" ()") in allowed for one in re.split(r"\s+OR\s+", part)) for part in parts)


def licences_of(names: Iterable[str]) -> dict[str, str]:
    """The licence of each package, as pip-licenses tells it."""
    told = _json("pip-licenses", "--from", "mixed", "--format", "json", "--packages", *names)
    return {each["Name"]: each["License"] for each in told}


def write_materials() -> Path:
    """The bill of materials of this environment in CycloneDX, by cyclonedx-bom."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / "sbom.json"
    subprocess.run(["cyclonedx-py", "environment", "--of", "JSON", "-o", str(path)], check=True, timeout=_TIMEOUT_S)
    return path


def vulnerabilities() -> tuple[list[str], str | None]:
    """What pip-audit knows against packages of this environment, and why it does not know all, or None."""
    command = ["pip-audit", "--format", "json", "--progress-spinner", "off", "--local"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
        told = json.loads(done.stdout)["dependencies"]
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
    skipped = [each["name"] for each in told if "skip_reason" in each and each["name"] != ROOT]
    return found, f"nothing is known of {len(skipped)} of {len(told)} packages" if skipped else None


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
    print(f"bill of materials: {write_materials()}")
    found, unknown = vulnerabilities()
    for line in found:
        print(f"::error::known vulnerability: {line}")
    if unknown is not None:
        print(f"::warning::NOT AUDITED in whole: {unknown}")
    elif not found:
        print("no known vulnerability")
    return 1 if wrong or found else 0


if __name__ == "__main__":
    sys.exit(main())
