"""Arguments as people give them: one or several, text or a path, a run or what names it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

Named = str | Path
"""A name, or where it lies."""
Several = Named | Iterable[Named] | None
"""None, one, or any number of them."""


def several(given: Several) -> list[str]:
    """As a list of texts: one alone is a list of one."""
    if given is None:
        return []
    return [str(given)] if isinstance(given, Named) else [str(each) for each in given]


def absolute(path: Named | None) -> str | None:
    """A path that holds from anywhere."""
    return None if path is None else str(Path(path).expanduser().resolve())


def word(given: Any) -> str:
    """What names a run: the folder of a `Run`, else the text itself."""
    return str(getattr(given, "folder", given))
