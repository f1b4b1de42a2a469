"""Versions of installed packages, for keys of what they make."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterable


def installed(names: Iterable[str]) -> dict[str, str]:
    """The version of Python and of those of the packages that are installed."""
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
