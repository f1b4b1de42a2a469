"""The makers of the site's pages, which lie beside the package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def maker(name: str) -> ModuleType:
    """A module of packaging/site; they import each other by their plain names."""
    place = str(ROOT / "packaging" / "site")
    sys.path.insert(0, place)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(place)
