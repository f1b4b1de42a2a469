"""Small reads below /proc and /sys, whose root a test or a container may move with BENCH_SYSFS_ROOT."""

from __future__ import annotations

import os
from pathlib import Path

ROOT_VARIABLE = "BENCH_SYSFS_ROOT"


def root() -> Path:
    """The folder under which `proc` and `sys` are looked for: BENCH_SYSFS_ROOT, or `/`."""
    return Path(os.environ.get(ROOT_VARIABLE) or "/")


def text(path: Path) -> str | None:
    """The file's content without surrounding space, or None where it cannot be read (a driver may refuse)."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def integer(path: Path) -> int | None:
    """The whole number in a file, or None where there is no readable number."""
    content = text(path)
    try:
        return None if content is None else int(content)
    except ValueError:
        return None


def table(content: str) -> dict[str, int]:
    """`key value` lines with whole numbers, as in cpu.stat; other lines are passed over."""
    rows: dict[str, int] = {}
    for line in content.splitlines():
        key, _, value = line.strip().partition(" ")
        try:
            rows[key] = int(value)
        except ValueError:
            continue
    return rows


def children(folder: Path, pattern: str) -> list[Path]:
    """Entries of a folder that match a glob, in natural order (2 before 10); none where it is missing."""

    def natural(path: Path) -> tuple[int, str]:
        return len(path.name), path.name

    try:
        return sorted(folder.glob(pattern), key=natural)
    except OSError:
        return []
