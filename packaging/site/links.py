"""Links that work both in the repository and on the site: written for the one, turned for the other."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

INCLUDED = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "results/README.md": "results.md",
    "hardware_profiles/README.md": "hardware-profiles.md",
}
"""Files outside of docs/ that are pages of the site, by their place in the repository."""

_DOCS = "docs/"
_SOURCE = "source/"
_FENCE = re.compile(r"^(```+|~~~+).*?^\1`*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?P<before>\]\(|(?:src|srcset|href)=\")(?P<to>[^)\s\"#]+)(?P<anchor>#[^)\s\"]*)?(?P<after>[)\"])")
_OUTSIDE = re.compile(r"[a-z]+:|/")
_FILE_OF = re.compile(r"^(```+\w+) file=(\S+)$", re.MULTILINE)


def site_path(path: str) -> str:
    """Where the site has what stands at `path` in the repository."""
    if path in INCLUDED:
        return INCLUDED[path]
    return path.removeprefix(_DOCS) if path.startswith(_DOCS) else f"{_SOURCE}{path}.md"


def sources(text: str, origin: str, root: Path) -> set[str]:
    """The files of the repository that a page links to and that need a page of their own."""
    linked = {_resolved(found["to"], origin) for found in _links(text)}
    return {path for path in linked if site_path(path).startswith(_SOURCE) and (root / path).is_file()}


def turned(text: str, origin: str, root: Path) -> str:
    """The Markdown of the file at `origin`, with its links to files of the repository as the site has them.

    What the repository does not have stays as it is, for the strict build to refuse.
    """
    here = posixpath.dirname(site_path(origin))

    def link(found: re.Match[str]) -> str:
        path = _resolved(found["to"], origin)
        if not (root / path).is_file():
            return found[0]
        to = posixpath.relpath(site_path(path), here or ".")
        return f"{found['before']}{to}{found['anchor'] or ''}{found['after']}"

    return _outside_fences(text, lambda part: _LINK.sub(lambda m: link(m) if _inside(m["to"]) else m[0], part))


def titled(text: str) -> str:
    """Fences that say of which file they are, as the site's Markdown has it."""
    return _FILE_OF.sub(r'\1 title="\2"', text)


def source_page(path: str, text: str) -> str:
    """A page that shows a file of the repository; it is not searched."""
    suffix = Path(path).suffix.lstrip(".")
    fence = f"``````{suffix}\n{text.rstrip()}\n``````\n"
    return f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n{text if suffix == 'md' else fence}"


def _inside(to: str) -> bool:
    return not _OUTSIDE.match(to)


def _links(text: str) -> Iterator[re.Match[str]]:
    yield from (found for found in _LINK.finditer(_FENCE.sub("", text)) if _inside(found["to"]))


def _resolved(to: str, origin: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(origin), to))


def _outside_fences(text: str, change: Callable[[str], str]) -> str:
    parts, at = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, change(text[at:])])
