"""Arguments as people give them: one or several, text or a path, a run or what names it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.errors import UserError

Named = str | Path
"""A name, or where it lies."""
Several = Named | Iterable[Named] | None
"""None, one, or any number of them."""


def several(given: Several) -> list[str]:
    """As a list of texts: one alone is a list of one."""
    if given is None:
        return []
    return [str(given)] if isinstance(given, Named) else [str(each) for each in given]


def text(given: Named) -> str:
    """A name, or a path with `~` as a shell would read it."""
    # Not by pathlib, which drops a leading `./` and fails where there is no such user.
    return os.path.expanduser(given)  # noqa: PTH111


def expanded(given: Named) -> Path:
    """A path, with `~` as a shell would read it."""
    return Path(text(given))


def optional(given: Named | None) -> str | None:
    """As `text`, where something is given."""
    return None if given is None else text(given)


def absolute(given: Named | None) -> str | None:
    """A path that holds from anywhere."""
    return None if given is None else str(expanded(given).resolve())


def word(given: Any) -> str:
    """What names a run: the folder of a `Run`, else the text itself. Raises `UserError` for anything else."""
    named = getattr(given, "folder", given)
    if not isinstance(named, str | os.PathLike):
        raise UserError(
            f"{given!r} names no run", where="run", remedy='give an id, a path, "latest", or what bench.load gave'
        )
    return text(os.fspath(named))


def results(out: Named | None, *given: Any) -> Path:
    """The folder in which runs and baselines are looked for: `out`, else that of the first `Run`, else "results"."""
    if out is not None:
        return expanded(out)
    beside = (Path(each.folder).parent for each in given if hasattr(each, "folder"))
    return next(beside, Path("results"))
