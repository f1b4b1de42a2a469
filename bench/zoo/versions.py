"""Versions of installed packages, for keys of what they make."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable


def installed(names: Iterable[str]) -> dict[str, str]:
    """The version of Python, without its patch level, and of those of the packages that are installed."""
    found = {"python": ".".join(platform.python_version_tuple()[:2])}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
