"""A gate's report where people work: a comment's text, JUnit XML, and what GitHub reads."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bench.record.comparison import GateReport
from bench.report.github import tell
from bench.report.junit import junit as as_junit
from bench.report.pull_request import comment
from bench.store.atomic import write_bytes


def write_reports(report: GateReport, *, markdown: Path | None, junit: Path | None, github: bool) -> None:
    """Write those that were asked for. Raises `UserError` where a file cannot be written."""
    if markdown is not None:
        write_bytes(markdown, comment(report).encode())
    if junit is not None:
        write_bytes(junit, as_junit(report))
    if github:
        # GitHub reads workflow commands from either stream; standard output is for the report.
        tell(report, os.environ, sys.stderr.write)
