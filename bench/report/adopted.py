"""What came of the import of a run, in a few lines."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from bench.report.safe import spelled
from bench.runner.adopt import Adopted


def draw(console: Console, found: Adopted) -> None:
    """What it is, whose it is, and what was checked."""
    for line in _lines(found):
        console.print(Text(spelled(line, console)), soft_wrap=True)


def document(found: Adopted) -> dict[str, Any]:
    """The same for machines."""
    return {
        "run": found.run.manifest.run_id,
        "folder": found.run.folder,
        "new": found.new,
        "made": found.made,
        "checked": found.checked,
        "status": found.run.manifest.status,
        "cases": len(found.run.rows),
    }


def _lines(found: Adopted) -> list[str]:
    manifest, rows = found.run.manifest, found.run.rows
    machine = manifest.environment.cpu_model or manifest.environment.architecture
    checked = f"{found.checked} files checked" if found.checked else "its tables read whole (it lists no checksums)"
    return [
        f"{manifest.run_id}: {len(rows)} of {len(manifest.cases)} cases, {manifest.status}, of {machine}",
        f"{checked}; {found.made}" if found.new else f"{checked}; the same run was here already, nothing was written",
        f"results in {found.run.folder}",
    ]
